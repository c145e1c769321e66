"""Replacement of names, numbers, addresses and links in a history."""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytok.chat.anonymize import anonymize
from pytok.chat.record import Message

AT = datetime(2024, 1, 1)


def said(sender: str, text: str = "", *, name: str | None = None) -> Message:
    return Message(time=AT, sender=sender, name=name, text=text)


def after(text: str, *senders: str) -> str:
    """Anonymize *text*, a message of the first of *senders*."""
    return anonymize([said(senders[0], text), *map(said, senders[1:])]).messages[0].text


def test_a_name_has_the_same_substitute_everywhere() -> None:
    """As a sender, in texts of others in any case, and in mentions."""
    result = anonymize([said("Anna Huber"), said("Bob", "ANNA, @Anna Huber: anna HUBER's turn")])
    anna, bob = (message.sender for message in result.messages)

    assert anna != bob
    assert result.messages[1].text == f"{anna}, @{anna}: {anna}'s turn"
    assert result.substitutes == {"Anna Huber": anna, "Bob": bob}
    assert result.counts["name"] == 3


@pytest.mark.parametrize(
    "text",
    ["Annabelle", "Joanna", "Ann", "Annanas"],
)
def test_a_name_within_another_word_is_not_replaced(text: str) -> None:
    assert after(text, "Anna") == text


@pytest.mark.parametrize(
    "around", ["_{}_", "*{}*", "({})", "{}'s", "{}!", "\u2068{}\u2069", "{}🎉"]
)
def test_a_name_next_to_punctuation_is_found(around: str) -> None:
    """Including the asterisks and underscores of WhatsApp's bold and italics."""
    assert "Anna" not in after(around.format("Anna"), "Anna")


def test_the_longer_name_is_matched_first() -> None:
    result = anonymize([said("Ann"), said("Anna Maria"), said("Bob", "Anna Maria, Ann; Anna")])
    ann, maria, _ = (message.sender for message in result.messages)

    assert result.messages[2].text == f"{maria}, {ann}; {maria}"


def test_a_first_name_of_two_people_has_its_own_substitute() -> None:
    result = anonymize([said("Anna Huber"), said("Anna Kern", "Anna Huber, Anna")])
    huber, kern = (message.sender for message in result.messages)
    first, second = result.messages[1].text.split(", ")

    assert first == huber
    assert second not in ("Anna", huber, kern)


def test_lower_case_words_of_a_name_are_kept() -> None:
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
    """Also in scripts without spaces, and in both normal forms."""
    result = anonymize([said(sender, text)])

    assert str(result.messages[0].sender) in result.messages[0].text
    assert sender.split()[0].casefold() not in result.messages[0].text.casefold()


def test_all_spellings_of_a_number_have_the_same_substitute() -> None:
    """With or without the country code, and in other digits."""
    text = after("+43 664 1234567, 0664/1234567, 00436641234567; ٠٦٦٤١٢٣٤٥٦٧", "Anna")

    assert text == "+999 000001, +999 000001, +999 000001; +999 000001"


def test_a_mentioned_number_has_the_substitute_of_the_person() -> None:
    """Databases mention people by number."""
    result = anonymize([said("+436641234567", name="Anna"), said("+431", "@436641234567 hi")])

    assert result.messages[1].text == f"@{result.messages[0].sender} hi"


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
def test_dates_and_amounts_are_kept(text: str) -> None:
    assert after(text, "Anna") == text


def test_addresses_and_links_are_replaced_without_the_punctuation_around_them() -> None:
    text = "mail a.b+c@uni.ac.at, see (https://x.org/Anna?q=1), www.y.de/z. or wa.me/4366, x.org!"

    assert after(text, "Anna") == (
        "mail person1@example.org, see (https://example.com/1), https://example.com/2. or "
        "https://example.com/3, https://example.com/4!"
    )


def test_a_mentioned_person_who_never_writes_is_replaced() -> None:
    result = anonymize([said("Anna", "@carol_w and @carol_w")])
    first, second = result.messages[0].text.split(" and ")

    assert first == second != "@carol_w"


def test_further_names_can_be_given() -> None:
    """The name of a person who is not a sender."""
    result = anonymize([said("Anna Huber", "Tom and Anna")], also=["Tom"])

    assert "Tom" not in result.messages[0].text


def test_substitutes_do_not_occur_in_the_history() -> None:
    """Otherwise a person could be taken for another one."""
    result = anonymize([said("Robin", "kim said Noor"), said("Sascha Jules")])

    assert not {"Robin", "Kim", "Noor", "Sascha", "Jules"} & {m.sender for m in result.messages}


def test_files_sources_chats_and_system_messages_contain_no_name() -> None:
    history = [
        Message(time=AT, sender=None, kind="system", text="Anna added Carol", chat="Anna"),
        Message(
            time=AT, sender="Anna", kind="media", media="Anna_CV.pdf", chat="Anna",
            source="WhatsApp Chat with Anna.txt", line=2,
        ),
        Message(time=AT, sender="Anna", kind="media", media="image", chat="Bob"),
    ]  # fmt: skip
    result = anonymize(history)

    assert [message.text for message in result.messages] == ["", "", ""]
    assert [message.media for message in result.messages] == [None, "file.pdf", "image"]
    assert [message.chat for message in result.messages] == ["chat 1", "chat 1", "chat 2"]
    assert result.messages[1].source == "source 1"
    assert result.counts == {"notice": 1, "file name": 1}
    assert "Anna" not in repr(result.messages)


@pytest.mark.parametrize(
    ("media", "left"),
    [
        ("forwarded from Anna Schmidt", "forwarded"),
        ("forwarded from Dr. Karl Huber", "forwarded"),
        ("Lebenslauf Anna", "file"),
        ("Lebenslauf Anna Schmidt • 2 Seiten", "file"),
        ("Anna.Huber", "file"),
        ("IMG-20240101-WA0001.jpg", "file.jpg"),
        ("voice_message", "voice_message"),
        ("sticker", "sticker"),
    ],
)
def test_only_the_type_or_suffix_of_media_remains(media: str, left: str) -> None:
    message = Message(time=AT, sender="Anna", kind="media", media=media)

    assert anonymize([message]).messages[0].media == left


def test_a_person_whose_message_was_forwarded_is_replaced_in_texts() -> None:
    history = [
        Message(time=AT, sender="Bob", kind="media", media="forwarded from Carol Wolf"),
        said("Bob", "Carol said so"),
    ]

    assert "Carol" not in repr(anonymize(history).messages)


def test_the_text_of_a_location_is_removed() -> None:
    """It has a name, an address and coordinates."""
    location = Message(
        time=AT, sender="Anna", kind="location", text="Café Sol\nHauptstraße 5\n48.2082, 16.3738"
    )
    result = anonymize([location])

    assert result.messages[0].text == ""
    assert result.counts == {"location": 1}


def test_ids_are_numbered_and_replies_still_refer_to_them() -> None:
    """The id of a message can have the number of its sender."""
    history = [
        Message(time=AT, sender="Anna", id="false_436641234567@c.us_3EB0"),
        Message(time=AT, sender="Bob", id="x", reply_to="false_436641234567@c.us_3EB0"),
    ]
    first, second = anonymize(history).messages

    assert (first.id, second.id, second.reply_to) == ("1", "2", "1")


def test_reactions_that_are_no_emoji_are_replaced() -> None:
    """Telegram's own emoji are names of files."""
    message = Message(time=AT, sender="Anna", reactions=("👍🏽", "❤️", "stickers/Anna.tgs", "1️⃣"))
    result = anonymize([message])

    assert result.messages[0].reactions == ("👍🏽", "❤️", "custom", "1️⃣")
    assert result.counts == {"reaction": 1}


def test_the_address_of_a_person_with_a_name_is_no_name() -> None:
    """Telegram's senders are like user1234; the word "user" stays."""
    result = anonymize([said("user1234", "a user", name="Anna")])

    assert result.messages[0].text == "a user"


def test_two_accounts_with_the_same_name_stay_distinct() -> None:
    result = anonymize([said("+431", name="Anna"), said("+432", name="Anna")])

    assert result.messages[0].sender != result.messages[1].sender


def test_an_owner_without_a_name_is_kept() -> None:
    """The word "me" occurs in many texts and is not a name."""
    result = anonymize([said("me", "give me Anna"), said("Anna")])

    assert result.messages[0].sender == "me"
    assert result.messages[0].text == f"give me {result.messages[1].sender}"


names = st.text(st.characters(categories=["Lu", "Ll", "Lo"]), min_size=2, max_size=8).filter(
    lambda name: name not in ("me", "unknown")
)


@given(st.lists(names, min_size=1, max_size=80, unique=True))
def test_senders_stay_distinct_and_their_names_are_removed(senders: list[str]) -> None:
    """For any number of arbitrary names; the result is deterministic."""
    history = [
        said(sender, f"{other}, hi") for sender, other in zip(senders, senders[::-1], strict=True)
    ]
    result = anonymize(history)

    assert len({message.sender for message in result.messages}) == len(senders)
    assert not {message.sender for message in result.messages} & set(senders)
    assert anonymize(history) == result
    for sender, message in zip(senders[::-1], result.messages, strict=True):
        assert not message.text.startswith(f"{sender},")


@given(st.text())
def test_arbitrary_text_is_anonymized_deterministically(text: str) -> None:
    assert anonymize([said("Anna", text)]) == anonymize([said("Anna", text)])
