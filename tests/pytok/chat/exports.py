"""Writers of WhatsApp text exports in many formats, to test the readers.

Each `Export` is one platform in one locale. Dates, clocks and phrases are from real exports where
available, otherwise from Unicode's locale data (CLDR 47).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pytok.chat.record import Message

LRM, RLM, NBSP, NNBSP, THIN = "\u200e", "\u200f", "\u00a0", "\u202f", "\u2009"


@dataclass(frozen=True, kw_only=True)
class Export:
    """The export format of one app in one locale."""

    name: str
    head: str
    """Text before the sender: {d}ay, {m}onth, {Y}ear or {y} of two digits, {H}our or {h} of a
    12-hour clock, {M}inute, {S}econd, {p}eriod of the day."""
    periods: tuple[str, str] = ("AM", "PM")
    zero: str = "0"
    """The digit zero of the script."""
    era: int = 0
    """Offset of the years of the calendar."""
    colon: str = ": "
    line_end: str = "\n"
    prefix: str = ""
    """First characters of the file."""
    mark: str = ""
    """Mark before phrases of the app."""
    omitted: Mapping[str, str] = field(default_factory=lambda: {"media": "<Media omitted>"})
    """Phrases for omitted media, by type."""
    attached: str = "{} (file attached)"
    edited: str = "<This message was edited>"
    deleted: str = "This message was deleted"
    system: str = "Messages and calls are end-to-end encrypted. Tap to learn more."
    call: str = "Missed voice call"
    encoding: str = "utf-8"

    def write(self, messages: Iterable[Message]) -> bytes:
        """Return the content of the file."""
        lines = [self._head(message.time) + self._rest(message) for message in messages]
        return (self.prefix + "".join(line + self.line_end for line in lines)).encode(self.encoding)

    def expected(self, message: Message) -> Message:
        """Return *message* with the information that this format preserves."""
        time = message.time if "{S" in self.head else message.time.replace(second=0)
        return Message(
            time=time,
            sender=message.sender,
            kind=message.kind,
            text={"system": self.system, "call": self.call}.get(message.kind, message.text),
            edited=message.edited,
            media=message.media,
        )

    def _head(self, time: datetime) -> str:
        digits = {ord("0") + value: chr(ord(self.zero) + value) for value in range(10)}
        year = time.year + self.era
        head = self.head.format(
            d=time.day, m=time.month, Y=year, y=year % 100, H=time.hour, h=time.hour % 12 or 12,
            M=time.minute, S=time.second, p=self.periods[time.hour >= 12],
        )  # fmt: skip
        return head.translate(digits)

    def _rest(self, message: Message) -> str:
        if message.kind == "system":
            return (f"Group{self.colon}" if self.mark else "") + self.mark + self.system
        body = message.text
        if message.kind == "media":
            media = message.media or ""
            if "." in media:
                body = self.mark + self.attached.format(media) + (f"\n{body}" if body else "")
            else:
                body = f"{body} {self.mark}{self.omitted[media]}".lstrip(" ")
        elif message.kind == "deleted":
            body = self.mark + self.deleted
        elif message.kind == "call":
            body = self.mark + self.call
        elif message.kind == "poll":
            question, *options = message.text.split("\n")
            body = "\n".join(
                [f"{self.mark}POLL:", question, *(f"{self.mark}OPTION: {each}" for each in options)]
            )
        if message.edited:
            body += f" {self.mark}{self.edited}"
        return f"{message.sender}{self.colon}{body}"


ENGLISH = {
    media_type: f"{noun} omitted"
    for media_type, noun in {
        "image": "image", "video": "video", "audio": "audio", "sticker": "sticker", "gif": "GIF",
        "document": "document", "contact": "Contact card",
    }.items()
}  # fmt: skip
GERMAN = {
    "image": "Bild weggelassen", "video": "Video weggelassen", "audio": "Audio weggelassen",
    "sticker": "Sticker weggelassen", "gif": "GIF weggelassen", "document": "Dokument weggelassen",
    "contact": "Kontaktkarte ausgelassen",
}  # fmt: skip


def only(phrase: str) -> dict[str, str]:
    """The one phrase that Android has for all types of media."""
    return {"media": phrase}


def _iphone(name: str, head: str, **fields: Any) -> Export:
    defaults = {
        "mark": LRM, "line_end": "\r\n", "omitted": ENGLISH, "attached": "<attached: {}>",
        "call": "Missed voice call", "deleted": "This message was deleted.",
    }  # fmt: skip
    return Export(name=name, head=head, **(defaults | fields))


def _android(name: str, head: str, **fields: Any) -> Export:
    return Export(name=name, head=head, **fields)


_TIME = "{H:02}:{M:02}"
_SECONDS = "{H:02}:{M:02}:{S:02}"

EXPORTS = (
    _android("android en_US", "{m}/{d}/{y:02}, {h}:{M:02}" + NNBSP + "{p} - "),
    _android("android en_US before 2023", "{m}/{d}/{y:02}, {h}:{M:02} {p} - "),
    _android("android en_IN", "{d:02}/{m:02}/{y:02}, {h}:{M:02}" + NNBSP + "{p} - ",
             periods=("am", "pm")),
    _android("android en_GB", "{d:02}/{m:02}/{Y}, " + _TIME + " - "),
    _android("android en_ZA", "{Y}/{m:02}/{d:02}, " + _TIME + " - ", prefix="\ufeff"),
    _android(
        "android de", "{d:02}.{m:02}.{y:02}, " + _TIME + " - ",
        omitted=only("<Medien ausgeschlossen>"), attached="{} (Datei angehängt)",
        edited="<Diese Nachricht wurde bearbeitet.>", deleted="Diese Nachricht wurde gelöscht.",
        system="Nachrichten und Anrufe sind Ende-zu-Ende-verschlüsselt.",
        call="Verpasster Sprachanruf",
    ),
    _android(
        "android es_CO", "{d}/{m}/{Y} {h}:{M:02} {p} - ", periods=(f"a.{NBSP}m.", f"p.{NBSP}m."),
        omitted=only("<Multimedia omitido>"), attached="{} (archivo adjunto)",
        edited="<Se editó este mensaje.>", deleted="Se eliminó este mensaje.",
        system="Los mensajes y las llamadas están cifrados de extremo a extremo.",
        call="Llamada de voz perdida",
    ),
    _android(
        "android fr", "{d:02}/{m:02}/{Y} à " + _TIME + " - ", omitted=only("<Médias omis>"),
        attached="{} (fichier joint)", edited="<Ce message a été modifié>",
        deleted="Ce message a été supprimé", call="Appel vocal manqué",
        system="Les messages et les appels sont chiffrés de bout en bout.",
    ),
    _android(
        "android fr_CA", "{Y}-{m:02}-{d:02} {H:02} h {M:02} - ", omitted=only("<Médias omis>"),
        attached="{} (fichier joint)", edited="<Ce message a été modifié>",
        deleted="Ce message a été supprimé", call="Appel vidéo manqué",
        system="Les messages et les appels sont chiffrés de bout en bout.",
    ),
    _android(
        "android it", "{d:02}/{m:02}/{y:02}, " + _TIME + " - ", omitted=only("<Media omessi>"),
        attached="{} (file allegato)", edited="<Questo messaggio è stato modificato>",
        deleted="Questo messaggio è stato eliminato", call="Chiamata vocale persa",
        system="I messaggi e le chiamate sono crittografati end-to-end.",
    ),
    _android(
        "android pt_BR", "{d:02}/{m:02}/{Y} " + _TIME + " - ", omitted=only("<Mídia oculta>"),
        attached="{} (arquivo anexado)", edited="<Mensagem editada>", deleted="Mensagem apagada",
        system="As mensagens e ligações são protegidas com a criptografia de ponta a ponta.",
        call="Ligação de voz perdida",
    ),
    _android(
        "android nl", "{d:02}-{m:02}-{Y} " + _TIME + " - ", omitted=only("<Media weggelaten>"),
        attached="{} (bestand bijgevoegd)", edited="<Dit bericht is bewerkt>",
        deleted="Dit bericht is verwijderd", call="Gemiste spraakoproep",
        system="Berichten en oproepen worden end-to-end versleuteld.",
    ),
    _android(
        "android tr", "{d}.{m:02}.{Y} " + _TIME + " - ", omitted=only("<Medya dahil edilmedi>"),
        attached="{} (dosya ekli)", edited="<Bu mesaj düzenlendi>", deleted="Bu mesaj silindi",
        system="Mesajlar ve aramalar uçtan uca şifrelidir.", call="Cevapsız sesli arama",
    ),
    _android("android sv_FI", "{Y}-{m:02}-{d:02} " + _TIME + " - "),
    _android("android id", "{d:02}/{m:02}/{y:02} {H:02}.{M:02} - "),
    _android("android hu", "{Y}. {m:02}. {d:02}. {H}:{M:02} - "),
    _android("android hr", "{d:02}. {m:02}. {Y}. {H:02}:{M:02} - "),
    _android("android bg", "{d}.{m:02}.{y:02}" + NNBSP + "г., {H}:{M:02} ч. - "),
    _android("android el", "{d}/{m}/{y:02}, {h}:{M:02} {p} - ", periods=("π.μ.", "μ.μ.")),
    _android("android sq", "{d}.{m}.{y:02}, {h}:{M:02} {p} - ",
             periods=("e paradites", "e pasdites")),
    _android("android ms", "{d}/{m:02}/{Y}, {h}:{M:02} {p} - ", periods=("PG", "PTG")),
    _android("android vi", _TIME + ", {d:02}/{m:02}/{Y} - "),
    _android("android eu", "{y:02}/{m}/{d} ({H}:{M:02}) - "),
    _android("android zh_CN", "{Y}/{m:02}/{d:02} " + _TIME + " - "),
    _android("android zh_TW", "{Y}/{m}/{d} {p}{h}:{M:02} - ", periods=("上午", "下午")),
    _android("android ja", "{Y}/{m:02}/{d:02} {p}{h}:{M:02} - ", periods=("午前", "午後")),
    _android("android ko", "{Y}. {m}. {d}. {p} {h}:{M:02} - ", periods=("오전", "오후")),
    _android("android ko, long", "{Y}년 {m}월 {d}일 {p} {h}:{M:02} - ", periods=("오전", "오후")),
    _android("android th", "{d}/{m}/{Y} " + _TIME + " - ", era=543),
    _android("android hi", "{d}/{m}/{y:02}, {h}:{M:02} {p} - ",
             periods=("पूर्वाह्न", "अपराह्न"), zero="०"),
    _android("android bn", "{d}/{m}/{y:02}, {h}:{M:02} {p} - ", zero="০"),
    _android("android my", "{d:02}-{m:02}-{y:02} " + _TIME + " - ", zero="၀"),
    _android(
        "android ar", f"{{d:02}}{RLM}/{{m:02}}{RLM}/{{Y}}، {{h}}:{{M:02}}{NBSP}{{p}} - ",
        periods=("ص", "م"), zero="٠", omitted=only("<تم استبعاد الوسائط>"),
        attached="{} (الملف مرفق)", edited="<تم تعديل هذه الرسالة>", deleted="تم حذف هذه الرسالة",
        system="الرسائل والمكالمات مشفرة تمامًا بين الطرفين.", call="مكالمة صوتية فائتة",
    ),
    _android("android fa", f"{{Y}}/{{m}}/{{d}},{RLM} {{H}}:{{M:02}} - ", zero="۰"),
    _android("android, unknown words", "{d}/{m}/{Y}, {h}:{M:02} {p} - ",
             periods=("mörnu", "sööre")),
    _android("android, no spaces", "{d:02}/{m:02}/{Y},{H:02}:{M:02}-"),
    _android("android, UTF-16", "{d:02}.{m:02}.{Y}, " + _TIME + " - ", encoding="utf-16"),
    _android("old iphone", "{d:02}/{m:02}/{y:02} " + _SECONDS + ": "),
    _iphone("iphone en_US", "[{m}/{d}/{y:02}, {h}:{M:02}:{S:02}" + NNBSP + "{p}] "),
    _iphone("iphone en_GB", "[{d:02}/{m:02}/{Y}, " + _SECONDS + "] "),
    _iphone("iphone en_AU", "[{d}/{m}/{Y}, {h}:{M:02}:{S:02} {p}] ", periods=("am", "pm")),
    _iphone("iphone, LF", "[{Y}-{m:02}-{d:02}, " + _SECONDS + "] ", line_end="\n"),
    _iphone(
        "iphone de", "[{d:02}.{m:02}.{y:02}, " + _SECONDS + "] ", omitted=GERMAN,
        attached="<Anhang: {}>", edited="<Diese Nachricht wurde bearbeitet.>",
        deleted="Diese Nachricht wurde gelöscht.", call="Verpasster Sprachanruf",
        system="Nachrichten und Anrufe sind Ende-zu-Ende-verschlüsselt.",
    ),
    _iphone("iphone fi", "[{d}.{m}.{Y} klo {H}.{M:02}.{S:02}] "),
    _iphone("iphone da", "[{d:02}.{m:02}.{Y} kl. {H:02}.{M:02}.{S:02}] "),
    _iphone("iphone sk", "[{d}. {m}. {Y}, {H}:{M:02}:{S:02}] "),
    _iphone("iphone zh", "[{Y}/{m}/{d} " + _SECONDS + "] ", colon=":"),
    _iphone("iphone zh_TW", "[{Y}/{m}/{d} {p}{h}:{M:02}:{S:02}] ",
            periods=("上午", "下午"), colon="："),
    _iphone("iphone ja", "[{Y}/{m:02}/{d:02}" + THIN + "{H}:{M:02}:{S:02}] "),
    _iphone("iphone he", f"[{{d}}.{{m}}.{{Y}}, {{H}}:{{M:02}}:{{S:02}}] {RLM}"),
    _iphone(
        "iphone ar", f"{LRM}[{{d}}{RLM}/{{m}}{RLM}/{{Y}} {{h}}:{{M:02}}:{{S:02}} {{p}}] ",
        periods=("ص", "م"), zero="٠",
    ),
    _iphone("web client", "[{h}:{M:02} {p}, {m}/{d}/{Y}] "),
)  # fmt: skip
"""All tested formats."""
