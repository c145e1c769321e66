//! Tests of the core.

use super::*;
use crate::BYTE_ORDER;

fn core(ids: Option<Vec<u32>>, specials: &[(&str, u32)]) -> Result<Core, Error> {
    let specials = specials.iter().map(|&(text, id)| (text.to_owned(), id)).collect();
    Core::new(BYTE_ORDER.map(|byte| [byte]), ids, "gpt2", specials)
}

#[test]
fn of_two_special_tokens_at_one_start_the_longer_is_found() {
    let core = core(None, &[("<a>", 256), ("<a>b", 257)]).unwrap();

    let allowed = core.allow(&["<a>", "<a>b"]).unwrap();

    assert_eq!(core.encode("<a>b<a>", Some(&allowed)).unwrap(), [257, 256]);
}

#[test]
fn a_special_token_that_is_not_allowed_is_text() {
    let core = core(None, &[("<a>", 256), ("a", 257)]).unwrap();

    let ids = core.encode("<a>", Some(&core.allow(&["a"]).unwrap())).unwrap();

    assert_eq!(ids, [27, 257, 29]);
}

#[test]
fn ids_need_not_be_ranks() {
    let core = core(Some((1000..1256).collect()), &[]).unwrap();

    assert_eq!(core.encode("!", None).unwrap(), [1000]);
    assert_eq!(core.token(1000), Some(&b"!"[..]));
    assert_eq!(core.token(0), None);
}

#[test]
fn a_special_token_with_the_id_of_a_token_is_rejected() {
    assert_eq!(core(None, &[("<a>", 7)]).unwrap_err(), Error::DuplicateId { id: 7 });
}

#[test]
fn of_two_special_tokens_with_one_id_the_first_is_decoded() {
    let core = core(None, &[("<a>", 256), ("<b>", 256)]).unwrap();

    assert_eq!(core.encode("<b>", Some(&core.allow(&["<a>", "<b>"]).unwrap())).unwrap(), [256]);
    assert_eq!(core.token(256), Some(&b"<a>"[..]));
}

#[test]
fn an_empty_special_token_is_rejected() {
    assert_eq!(core(None, &[("", 256)]).unwrap_err(), Error::EmptySpecial);
}
