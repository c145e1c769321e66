"""A history without the names, numbers, addresses and links that can be found in it."""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytok.chat.anonymise import anonymise
from pytok.chat.record import Message

AT = datetime(2024, 1, 1)


def said(sender: str, text: str = "", *, name: str | None = None) -> Message:
    return Message(time=AT, sender=sender, name=name, text=text)


def after(text: str, *senders: str) -> str:
    """*text* as the first of *senders* has it afterwards."""
    return anonymise([said(senders[0], text), *map(said, senders[1:])]).messages[0].text


def test_a_name_is_the_same_substitute_everywhere() -> None:
    """As sender, in the words of others in any case of letters, and mentioned."""
    done = anonymise([said("Anna Huber"), said("Bob", "ANNA, @Anna Huber: anna HUBER's turn")])
    anna, bob = (message.sender for message in done.messages)

    assert anna != bob
    assert done.messages[1].text == f"{anna}, @{anna}: {anna}'s turn"
    assert done.substitutes == {"Anna Huber": anna, "Bob": bob}
    assert done.counts["name"] == 3


@pytest.mark.parametrize(
    "text",
    ["Annabelle", "Joanna", "Annas", "anna1", "Ánna", "Ann"],
)
def test_a_name_within_another_word_is_none(text: str) -> None:
    assert after(text, "Anna") == text


@pytest.mark.parametrize(
    "around", ["_{}_", "*{}*", "({})", "{}'s", "{}!", "\u2068{}\u2069", "{}🎉"]
)
def test_a_name_among_signs_is_found(around: str) -> None:
    """Among them the stars and lines with which WhatsApp writes bold and italics."""
    assert "Anna" not in after(around.format("Anna"), "Anna")


def test_the_longer_name_goes_first() -> None:
    done = anonymise([said("Ann"), said("Anna Maria"), said("Bob", "Anna Maria, Ann; Anna")])
    ann, maria, _ = (message.sender for message in done.messages)

    assert done.messages[2].text == f"{maria}, {ann}; {maria}"


def test_a_first_name_that_two_have_is_nobodys_in_particular() -> None:
    done = anonymise([said("Anna Huber"), said("Anna Kern", "Anna Huber, Anna")])
    huber, kern = (message.sender for message in done.messages)
    first, second = done.messages[1].text.split(", ")

    assert first == huber
    assert second not in ("Anna", huber, kern)


def test_lower_case_words_of_a_contacts_name_stay() -> None:
    assert "from work" in after("she is from work", "Anna from work")


@pytest.mark.parametrize(
    ("sender", "text"),
    [
        ("王伟", "我和王伟去吃饭"),
        ("민수", "민수는 학교에"),
        ("Иван Петров", "ИВАН, петров?"),
        ("محمد", "يا محمد!"),
        ("मोहन", "मोहन, आओ"),
        ("Jose\u0301", "Jos\u00e9 e JOSE\u0301"),
        ("İpek", "ipek ve İPEK"),
    ],
)
def test_names_of_any_script_are_found(sender: str, text: str) -> None:
    """Where words are not spaced, too, and in either normal form."""
    done = anonymise([said(sender, text)])

    assert str(done.messages[0].sender) in done.messages[0].text
    assert sender.split()[0].casefold() not in done.messages[0].text.casefold()


def test_a_number_is_one_however_it_is_written() -> None:
    """With the country or without; and in other digits."""
    text = after("+43 664 1234567, 0664/1234567, 00436641234567; ٠٦٦٤١٢٣٤٥٦٧", "Anna")

    assert text == "+999 000001, +999 000001, +999 000001; +999 000001"


def test_a_mentioned_number_is_the_person() -> None:
    """Databases mention people by number."""
    done = anonymise([said("+436641234567", name="Anna"), said("+431", "@436641234567 hi")])

    assert done.messages[1].text == f"@{done.messages[0].sender} hi"


@pytest.mark.parametrize(
    "text",
    [
        "on 31.12.2024 18:30",
        "2024-12-31",
        "1.000.000 euro",
        "room 123456",
        "3/4/2024, 7 pm",
        "@all",
    ],
)
def test_dates_and_sums_stay(text: str) -> None:
    assert after(text, "Anna") == text


def test_mail_and_links_are_replaced_with_their_signs_around_kept() -> None:
    text = "mail a.b+c@uni.ac.at, see (https://x.org/Anna?q=1), www.y.de/z. or wa.me/4366, x.org!"

    assert after(text, "Anna") == (
        "mail person1@example.org, see (https://example.com/1), https://example.com/2. or "
        "https://example.com/3, https://example.com/4!"
    )


def test_who_is_mentioned_but_never_writes_is_replaced_too() -> None:
    done = anonymise([said("Anna", "@carol_w and @carol_w")])
    first, second = done.messages[0].text.split(" and ")

    assert first == second != "@carol_w"


def test_more_names_can_be_given() -> None:
    """A nickname of somebody new, and one that is a further name of a sender."""
    done = anonymise([said("Anna Huber", "Tom and Anna")], also=["Tom"])

    assert "Tom" not in done.messages[0].text


def test_substitutes_are_no_words_of_the_history() -> None:
    """Else somebody real would seem to be somebody else."""
    done = anonymise([said("Robin", "kim said Noor"), said("Sascha Jules")])

    assert not {"Robin", "Kim", "Noor", "Sascha", "Jules"} & {m.sender for m in done.messages}


def test_files_sources_chats_and_system_lines_tell_no_name() -> None:
    history = [
        Message(time=AT, sender=None, kind="system", text="Anna added Carol", chat="Anna"),
        Message(
            time=AT, sender="Anna", kind="media", media="Anna_CV.pdf", chat="Anna",
            source="WhatsApp Chat with Anna.txt", line=2,
        ),
        Message(time=AT, sender="Anna", kind="media", media="image", chat="Bob"),
    ]  # fmt: skip
    done = anonymise(history)

    assert [message.text for message in done.messages] == ["", "", ""]
    assert [message.media for message in done.messages] == [None, "file.pdf", "image"]
    assert [message.chat for message in done.messages] == ["chat 1", "chat 1", "chat 2"]
    assert done.messages[1].source == "source 1"
    assert done.emptied == 1
    assert "Anna" not in repr(done.messages)


def test_two_accounts_of_one_name_stay_two() -> None:
    done = anonymise([said("+431", name="Anna"), said("+432", name="Anna")])

    assert done.messages[0].sender != done.messages[1].sender


def test_the_owner_without_a_name_stays_so() -> None:
    """The word "me" is in many texts, and no name."""
    done = anonymise([said("me", "give me Anna"), said("Anna")])

    assert done.messages[0].sender == "me"
    assert done.messages[0].text == f"give me {done.messages[1].sender}"


names = st.text(st.characters(categories=["Lu", "Ll", "Lo"]), min_size=2, max_size=8).filter(
    lambda name: name not in ("me", "unknown")
)


@given(st.lists(names, min_size=1, max_size=80, unique=True))
def test_speakers_stay_distinct_and_their_names_are_gone(senders: list[str]) -> None:
    """Whatever names they have, however many, and the same again each time."""
    history = [
        said(sender, f"{other}, hi") for sender, other in zip(senders, senders[::-1], strict=True)
    ]
    done = anonymise(history)

    assert len({message.sender for message in done.messages}) == len(senders)
    assert not {message.sender for message in done.messages} & set(senders)
    assert anonymise(history) == done
    for sender, message in zip(senders[::-1], done.messages, strict=True):
        assert not message.text.startswith(f"{sender},")


@given(st.text())
def test_any_text_goes_through(text: str) -> None:
    """And again the same way."""
    assert anonymise([said("Anna", text)]) == anonymise([said("Anna", text)])
