"""Links of any scheme or none, e-mail addresses, and passwords in plain texts.

A link is recognized by its shape: a scheme, or a domain with a path, a query or a port. Only a bare
domain needs a list, of the ends that domains have, since "Yes.And" has the same shape.
"""

import re
from collections.abc import Iterator

from pytok.chat.anonymize.numbers import Span

_REST = r"(?:[^\s<>\u200b]*[^\s<>\u200b.,;:!?)\]}'\"…*_~])"
"""To the end of a link, without the punctuation of the sentence around it."""
_SCHEMES = (
    "mailto|smsto|geo|magnet|sips?|xmpp|skype|data|bitcoin|ethereum|litecoin|monero|whatsapp|viber"
    "|tg|sgnl|matrix|spotify|upi|otpauth|wifi|javascript"
)
"""Schemes that need no "//"."""
_NO_FILE = (
    "(?!(?:jsx?|tsx?|css|html?|txt|pdf|docx?|xlsx?|pptx?|jpe?g|png|gif|mp[34]|zip|exe|csv|json|xml)"
    r"(?![^\W\d_]))"
)
_LABEL = r"(?:[^\W_](?:[\w-]{0,61}[^\W_])?)"
_DOMAIN = rf"(?<![\w@.-])(?:{_LABEL}\.){{1,8}}"
_HOST = r"(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,24}"
_PORT = r":[0-9]{2,5}(?![0-9])"
_PATH = rf"[/?#]{_REST}?"
_ENDS = (
    "com|org|net|info|biz|edu|gov|io|ai|app|dev|gg|tv|xyz|online|site|shop|store|blog|club|live|link"
    "|page|pro|me|co|cc|ly|fm|be|eu|de|at|ch|li|uk|fr|es|it|nl|pl|pt|br|mx|in|ru|su|ua|by|kz|tr"
    "|se|no|dk|fi|is|cz|sk|gr|hu|ro|bg|rs|hr|si|ie|ca|au|nz|jp|kr|cn|tw|hk|sg|my|id|ph|th|vn|pk|bd"
    "|lk|za|ng|ke|eg|ma|ar|cl|pe|ve|il|ir|sa|ae|us|zoom|group|news|berlin|wien|рф|укр|бел|中国|公司"
    "|网络|コム|닷컴|한국|онлайн"
)
_LINK = re.compile(
    "|".join(
        (
            rf"(?<![a-z0-9+.-])[a-z][a-z0-9+.-]{{1,30}}://{_REST}?",
            rf"(?<![\w-])(?:{_SCHEMES}):(?=[^\s:/]|//?[^\s/]){_REST}",
            rf"(?<![\w.-])www\.{_REST}",
            # user:password@host
            rf"(?<![\w@.:-])[^\s:/@<>]{{1,64}}:[^\s/@<>]{{1,64}}@{_HOST}(?:[:/?#]{_REST})?",
            rf"{_DOMAIN}{_NO_FILE}(?:[^\W\d_]{{2,24}}|xn--[\w-]{{1,59}})(?:{_PORT})?{_PATH}",
            rf"{_DOMAIN}{_NO_FILE}[^\W\d_]{{2,24}}{_PORT}",
            rf"{_DOMAIN}(?:{_ENDS})(?![\w@-]|\.\w)",
            rf"(?<![\w@.-])(?:localhost|(?:[0-9]{{1,3}}\.){{3}}[0-9]{{1,3}})"
            rf"(?:{_PORT}(?:{_PATH})?|[/?#][^\W\d_]{_REST}?)",
        )
    ),
    re.IGNORECASE,
)
_LOCAL = r"(?<![\w.+%-])[\w.+%'-]{1,64}"
_E_MAIL = re.compile(
    "|".join(
        (
            rf"{_LOCAL}@{_HOST}",
            # within a network, or of a payment: anna@okbank
            r"(?<![\w.+%-])[\w.+%'-]{3,64}@[^\W\d_]{3,30}(?![\w.@-])",
            rf"{_LOCAL} ?[\[({{] ?(?:at|ät|arroba|@) ?[\])}}] ?[\w-]{{1,63}}"
            r"(?: ?(?:\.|[\[({] ?(?:dot|punkt|punto|\.) ?[\])}]) ?[\w-]{1,63}){1,4}",
            rf"{_LOCAL}(?-i: AT )[\w-]{{1,63}}(?:(?-i: DOT )[\w-]{{1,63}}){{1,4}}",
        )
    ),
    re.IGNORECASE,
)
_IS = "(?:is|ist|lautet|es|est|é|è|to|je|это)"
_PASSWORD = (
    r"(?:\b(?:pass(?:word|wort|code|phrase)?|pwd?|passwd|kennwort|contraseña|senha|mot de passe|mdp"
    r"|wachtwoord|lösenord|passord|salasana|adgangskode"
    r"|sandi|mật khẩu"
    r"|hasło|heslo|jelszó|parola|şifre|пароль|пин|pin|puk|tan|cvv|cvc|otp"
    r"|api[_ -]?key)|密码|密碼|パスワード|비밀번호|暗証番号|كلمة السر|סיסמה|סיסמא|รหัสผ่าน|पासवर्ड)"
)
_CODE = (
    r"\w{0,20}code|(?:код|código|codigo|codice|kód|kode|koodi)(?: [^\W\d_]{1,20}){0,2}"
    r"|buchungsnummer|pnr|验证码|驗證碼|認証コード|인증번호"
)
_SECRET = re.compile(
    "|".join(
        (
            rf"{_PASSWORD}(?: ?{_IS}?[:=] ?|(?: {_IS} | ?[是은는は] ?)(?=\S{{0,40}}[0-9]))"
            r"(?P<word>[^\s,;\"]{3,200})",
            # "Wi-Fi password hunter22", "password for the Wi-Fi: hunter22"
            rf"{_PASSWORD} (?:(?:[^\W\d_]{{1,20}} ){{0,3}}[^\W\d_]{{1,20}}[:=] ?)?"
            r"(?P<mixed>(?=[^\s0-9]{0,40}[0-9])(?=[^\W_]{0,40}?[^\W\d_])[^\s,;\"]{5,200})",
            r"\b(?:token|secret|key): ?(?=\S{0,60}[0-9])(?P<token>[^\s,;\"]{6,200})",
            rf"\b(?:pin|puk|tan|cvv|cvc|otp|{_CODE})\b:?(?: {_IS})? "
            r"(?P<code>[0-9]{4,8}(?![0-9.,:/-])|[0-9]{3}[ -][0-9]{3}(?![0-9.,:/-])"
            r"|(?-i:(?=[A-Z]{0,8}[0-9])(?=[0-9]{0,8}[A-Z])[A-Z0-9]{5,10})(?!\w))",
            r"(?<![0-9])(?P<first>[0-9]{4,8}) (?:is|ist) (?:your|dein|ihr)\b(?=[^\n]{0,40}code)",
            r"(?<![\w-])[\w-]{0,40}(?:token|secret|key|pwd|passw(?:or)?d|auth|sig)="
            r"(?P<value>[^\s,;\"]{3,200})",
        )
    ),
    re.IGNORECASE,
)


def links(plain: str) -> Iterator[Span]:
    """Yield the links in the *plain* text."""
    for match in _LINK.finditer(plain):
        yield Span(*match.span(), "link", match[0])


def e_mails(plain: str) -> Iterator[Span]:
    """Yield the e-mail addresses in the *plain* text, also as in name (at) example (dot) org."""
    for match in _E_MAIL.finditer(plain):
        yield Span(*match.span(), "e-mail", match[0].casefold())


def secrets(plain: str) -> Iterator[Span]:
    """Yield what follows "password:", "token=" or "PIN" in the *plain* text."""
    for match in _SECRET.finditer(plain):
        group = next(name for name, value in match.groupdict().items() if value)
        yield Span(*match.span(group), "password", match[group])
