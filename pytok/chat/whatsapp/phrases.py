"""Phrases that WhatsApp writes instead of a message, in the most common languages.

Where possible, structure decides (`bodies`): brackets, marks, file names, repetition. These phrases
say which kind of message the app has written, identify the language of a file, and decide alone
only together with the whole sentences of `sentences`.
"""

import re
from dataclasses import dataclass

from pytok.chat.whatsapp.dates import DateOrder


@dataclass(frozen=True, kw_only=True)
class Language:
    """Regexes, for lower-case text, of WhatsApp's phrases in one language."""

    order: DateOrder | None = "dmy"
    """Order of dates; None if it differs between countries."""
    omitted: str
    """Last words of "image omitted"."""
    attached: str = ""
    """Words in parentheses after the name of a file."""
    edited: str = ""
    deleted: str
    call: str = ""
    system: str = ""


LANGUAGES = {
    "en": Language(
        order=None,
        omitted="omitted",
        attached="file attached",
        edited="this message was edited",
        deleted="(this message was|you) deleted( this message)?( by admin .*)?"
        "|this message was deleted by .*",
        call="(missed|silenced|declined|incoming|outgoing)? ?(group )?(voice|video) call.*",
        system="end-to-end encrypted|security code|created (this )?group|created this community"
        "| added | left$| removed |changed (the|this|their|your)|joined (using|from|the)"
        "|invite link|disappearing messages|waiting for this message|blocked this (contact|bus)"
        "|is a contact|advanced chat privacy|pinned a message|started a call|business account"
        "|now an admin|phone number",
    ),
    "de": Language(
        omitted="weggelassen|ausgeschlossen|ausgelassen",
        attached="datei angehängt",
        edited="diese nachricht wurde bearbeitet",
        deleted="(diese nachricht wurde|(du hast|sie haben) diese nachricht) gelöscht",
        call="verpasste[rs]? (gruppen)?(sprach|video)anruf.*|(sprach|video)anruf.*",
        system="ende-zu-ende|sicherheitsnummer|gruppe .*erstellt| hinzugefügt|gruppe verlassen"
        "| entfernt|geändert|beigetreten|selbstlöschende nachrichten|blockiert|angepinnt"
        "|ist ein kontakt",
    ),
    "es": Language(
        omitted="omitid[oa]s?",
        attached="archivo adjunto",
        edited="(se editó este mensaje|este mensaje fue editado|se editó)",
        deleted="(se eliminó este mensaje|este mensaje (se eliminó|fue eliminado)"
        "|eliminaste este mensaje|eliminó este mensaje)",
        call="(video)?llamada( de voz| de vídeo| grupal)? (perdida|sin contestar).*"
        "|(video)?llamada de voz.*",
        system="cifrad[oa]s de extremo a extremo|código de seguridad|creó (el|este) grupo"
        "|creaste (el|este) grupo|añadió a|añadiste a| agregó a|salió del grupo|eliminó a"
        "|cambió (el|la|su)|se unió|mensajes temporales|bloqueaste|desbloqueaste"
        "|fijó un mensaje|es un contacto",
    ),
    "fr": Language(
        omitted="omis|omise|absente?|manquante?|retirée?",
        attached="fichier joint",
        edited="ce message a été modifié",
        deleted="(ce message a été supprimé|vous avez supprimé ce message)",
        call="appel (vocal|vidéo|audio)( de groupe)? manqué.*|appel (vocal|vidéo).*",
        system="chiffrés de bout en bout|code de sécurité|a créé (le|ce) groupe|avez créé"
        "| a ajouté|avez ajouté|a quitté| a retiré|a changé|a modifié|a rejoint|messages éphémères"
        "|avez bloqué|débloqué|a épinglé|fait partie de vos contacts",
    ),
    "it": Language(
        omitted="omess[oaie]|non inclus[oa]|esclus[oa]",
        attached="file allegato",
        edited="questo messaggio è stato modificato",
        deleted="(questo messaggio è stato eliminato|hai eliminato questo messaggio)",
        call="(video)?chiamata( vocale)?( di gruppo)? persa.*|(video)?chiamata vocale.*",
        system="crittografat[ie] end-to-end|codice di sicurezza|ha creato|hai creato| ha aggiunto"
        "|hai aggiunto|ha abbandonato|è uscit| ha rimosso|ha cambiato|ha modificato|è entrat"
        "|messaggi effimeri|hai bloccato|hai sbloccato|ha fissato un messaggio|è un contatto",
    ),
    "pt": Language(
        omitted="ocult[oa]|ocultad[oa]|omitid[oa]|não revelad[oa]",
        attached="(arquivo|ficheiro) anexado",
        edited="(mensagem editada|esta mensagem foi editada)",
        deleted="(mensagem apagada|esta mensagem foi (apagada|eliminada)"
        "|(você )?(apagou|eliminou) (esta|a) mensagem)",
        call="(ligação|chamada) (de )?(voz|vídeo) (perdida|não atendida).*"
        "|(ligação|chamada) de (voz|vídeo).*",
        system="criptografia de ponta|encriptadas? ponto a ponto|código de segurança|criou o grupo"
        "|criou este grupo| adicionou|saiu(?: do grupo)?$| removeu|mudou (o|a|para)|alterou"
        "|entrou usando|mensagens temporárias|bloqueou|desbloqueou|fixou uma mensagem|é um contato",
    ),
    "nl": Language(
        omitted="weggelaten",
        attached="bestand bijgevoegd",
        edited="dit bericht is bewerkt",
        deleted="(dit bericht is verwijderd|(u|je) hebt dit bericht verwijderd)",
        call="gemiste (groeps)?(spraak|video|audio)-?oproep.*|(spraak|video|audio)-?oproep.*",
        system="end-to-end versleuteld|beveiligingscode|groep .*(aangemaakt|gemaakt)| toegevoegd"
        "|heeft de groep verlassen|groep verlaten| verwijderd|gewijzigd|neemt nu deel"
        "|verdwijnende berichten|geblokkeerd|gedeblokkeerd|vastgezet|staat in je contacten",
    ),
    "tr": Language(
        omitted="dahil edilmedi|atlandı",
        attached="dosya ekli",
        edited="bu mesaj düzenlendi",
        deleted="(bu mesaj silindi|bu mesajı sildiniz)",
        call="cevapsız (grup )?(sesli|görüntülü) arama.*|(sesli|görüntülü) arama.*",
        system="uçtan uca|güvenlik kodu|grubu oluştur|grubunu oluştur| ekledi|eklediniz"
        "|gruptan ayrıldı| çıkardı|değiştirdi|katıldı|süreli mesajlar|engellediniz|sabitledi",
    ),
    "hi": Language(
        omitted="छोड़ा गया|छोड़ दिया गया|के बिना|शामिल नहीं.*",
        attached="फ़ाइल संलग्न.*|फाइल संलग्न.*",
        edited="(यह|इस) (मैसेज|संदेश) .*(एडिट|संपादित).*",
        deleted="(यह|आपने यह) (मैसेज|संदेश) .*(डिलीट|मिटाया|हटाया|हटा).*",
        call="मिस्ड (वॉइस|वीडियो|ग्रुप).* कॉल.*",
        system="एंड-टू-एंड|सुरक्षा कोड|ग्रुप बनाया|जोड़ा|ग्रुप छोड़|हटाया|बदला|बदल दिया|ब्लॉक",
    ),
    "ar": Language(
        omitted="تم استبعاد .*|غير مدرجة?|تم حذف الوسائط|محذوفة?",
        attached="(تم إرفاق الملف|الملف مرفق|ملف مرفق)",
        edited="تم تعديل هذه الرسالة",
        deleted="(تم حذف هذه الرسالة|(لقد )?حذفت هذه الرسالة|تم مسح هذه الرسالة)",
        call="مكالمة (صوتية|فيديو|مرئية|جماعية)( فائتة| لم يرد عليها)?.*",
        system="مشفرة تمام|تشفير|رمز الأمان|أنشأ|بإنشاء|أضاف|بإضافة|غادر|أزال|غيّ?ر|بتغيير|انضم"
        "|ذاتية الاختفاء|حظرت|تثبيت",
    ),
    "ru": Language(
        omitted="без медиафайлов|пропущен[оа]?|отсутствует|не добавлен[оа]?",
        attached="файл добавлен",
        edited="сообщение изменено",
        deleted="((данное|это) сообщение удалено|вы удалили (данное|это) сообщение)",
        call="пропущенный (аудио|видео|групповой )?звонок.*",
        system="сквозным шифрованием|код безопасности|создал|добавил| вышел| вышла|удалил|изменил"
        "|присоединил|исчезающие сообщения|заблокировал",
    ),
    "pl": Language(
        omitted="pominięt[oyae]|pominięto .*",
        attached="plik został załączony|załączono plik",
        edited="(ta )?wiadomość została edytowana|edytowano tę wiadomość",
        deleted="((ta )?wiadomość została usunięta|usunięto tę wiadomość|ta wiadomość usunięta)",
        call="nieodebrane połączenie.*",
        system="szyfrowan|kod zabezpieczeń|utworzył|dodał| opuści|usunął|usunęła|zmienił|dołączył",
    ),
    "id": Language(
        omitted="tidak disertakan",
        attached="file terlampir",
        edited="pesan ini diedit",
        deleted="(pesan ini (telah )?dihapus|anda (telah )?menghapus pesan ini)",
        call="panggilan (suara|video)( grup)? tak terjawab.*",
        system="terenkripsi secara end-to-end|kode keamanan|membuat grup|menambahkan|keluar$"
        "|mengeluarkan|mengubah|bergabung|pesan sementara|memblokir",
    ),
    "sv": Language(
        order="ymd",
        omitted="utelämnad(es)?|utelämnat|uteslutna|har utelämnats",
        attached="fil bifogad|bifogad fil",
        edited="(det här )?meddelandet (har redigerats|redigerades)",
        deleted="((det här )?meddelandet (har raderats|togs bort|raderades)"
        "|du (raderade|tog bort) (det här |detta )?meddelandet?)",
        call="missat (röst|video)samtal.*",
        system="totalsträckskrypter|säkerhetskod|skapade gruppen| lade till|lämnade|tog bort"
        "|ändrade",
    ),
    "fi": Language(
        omitted="jätetty pois|poistettu viennistä|ei sisälly.*|puuttuu|jätettiin pois",
        attached="tiedosto liitetty",
        edited="(tätä viestiä|tämä viesti|viestiä) (on )?muokat.*",
        deleted="(tämä viesti (on )?poistet.*|poistit tämän viestin)",
        call="vastaamaton (ääni|video)puhelu.*",
        system="täysin salattu|suojauskoodi|loi ryhmän| lisäsi|poistui|poisti|vaihtoi|liittyi",
    ),
    "he": Language(
        omitted="לא נכלל[הו]?|הושמט[הו]?",
        attached="הקובץ מצורף|קובץ מצורף",
        edited="הודעה זו נערכה",
        deleted="(הודעה זו נמחקה|מחקת הודעה זו)",
        call="(שיחה קולית|שיחת וידאו) שלא נענתה.*",
        system="מוצפנ|קוד האבטחה|יצר[הת]? |הוסי[ףפ]|עזב|הסיר|שינ",
    ),
    "fa": Language(
        order=None,
        omitted="حذف شد|پیوست نشد.*|صرف‌نظر شد.*",
        attached="فایل پیوست شد.*|پیوست شد",
        edited="این پیام ویرایش شد.*",
        deleted="(این پیام حذف شد.*|شما این پیام را حذف کردید)",
        call="تماس (صوتی|تصویری) بی‌?پاسخ.*",
        system="سرتاسر|کد امنیتی|ایجاد کرد|اضافه کرد|ترک کرد|حذف کرد|تغییر داد",
    ),
    "zh": Language(
        order="ymd",
        omitted="已?省略.*|已?忽略|未包含|已略過|略去.*",
        attached="(文件|檔案|附件)(已)?(附加|附件|附上|添加)?",
        edited="此(消息|訊息)已(被)?(编辑|編輯)|(消息|訊息)已(编辑|編輯)",
        deleted="((此|这条|這則)?(消息|讯息|訊息)已(被)?(删除|刪除|撤回|收回)|(您|你)已?(删除|刪除|撤回|收回)了?(此|这条|這則|一条|一則)?"
        "(消息|讯息|訊息))",
        call="未接(语音|語音|视频|視訊|視像|群組)?(通话|通話|来电|來電).*",
        system="端到端加密|端對端加密|安全码|安全碼|安全代碼|创建了|建立了|添加了|新增了|加入了|退出了|离开|離開|移除|更改|变更",
    ),
    "ja": Language(
        order="ymd",
        omitted="(は)?(含まれていません|省略されました|除外されました)|除外",
        attached="(ファイル)?添付(ファイル)?(済み)?",
        edited="このメッセージは編集(されました|済み.*)",
        deleted="(このメッセージは(削除|取り消)されました|(あなたは)?このメッセージを削除しました)",
        call="(音声|ビデオ)?(通話)?(不在着信|.*不在着信).*",
        system="エンドツーエンド|セキュリティコード|作成しました|追加しました|退出しました|削除しました|変更しました|参加しました",
    ),
    "ko": Language(
        order="ymd",
        omitted="(을|를)? ?(제외.*|생략.*|포함되지 않.*)|.*생략됨",
        attached="파일 (첨부됨|첨부)|첨부 ?파일.*",
        edited="(이 )?메시지(가|는)? ?(수정|편집).*",
        deleted="(삭제된 메시지입니다|(이 )?메시지(가|를|는) ?삭제(되었|했)습니다)",
        call="부재중 (음성|영상|그룹).*",
        system="종단간 암호화|종단 간 암호화|보안 코드|만들었습니다|추가했습니다|나갔습니다"
        "|내보냈습니다|변경했습니다",
    ),
}  # fmt: skip


def _compile(field: str, template: str) -> re.Pattern[str]:
    """Compile *field* of all languages into one regex; the matching group names the language."""
    parts = (
        # A bound instead of a star: a search from everywhere through any text stays linear.
        f"(?P<{code}>{template.format(phrases).replace('.*', '.{0,80}')})"
        for code, language in LANGUAGES.items()
        if (phrases := getattr(language, field))
    )
    return re.compile("|".join(parts), re.DOTALL)


OMITTED = _compile("omitted", r"(?:{})[.!]?\Z")
"""End of a phrase, to search for."""
ATTACHED = _compile("attached", r"(?:{})\Z")
EDITED = _compile("edited", r"(?:{})[.。]?\Z")
DELETED = _compile("deleted", r"(?:{})[.。]?\Z")
CALL = _compile("call", r"(?:{})\Z")
SYSTEM = _compile("system", r"(?:{})")

MEDIA_NOUNS = {
    "image": "image bild imagen immagine imagem afbeelding görüntü foto photo изображение gambar"
    " kuva الصورة תמונה 图像 圖像 圖片 画像 사진",
    "video": "video vídeo vidéo видео الفيديو video-notiz סרטון 视频 影片 動画 ビデオ 동영상",
    "audio": "audio áudio аудиофайл аудио ses ääni ljud الصوت 音频 語音 音声 오디오",
    "sticker": "sticker figurinha çıkartma стикер stiker الملصق 贴纸 貼圖 スタンプ 스티커",
    "gif": "gif",
    "document": "document dokument documento belge документ dokumen المستند מסמך 文档"
    " 文件 文書 문서",
    "contact": "contact kontaktkarte tarjeta fiche scheda cartão contactkaart kişi",
}  # fmt: skip
"""Type of media to its nouns in many languages, or their first letters."""

MEDIA_TYPE_OF = {word: kind for kind, words in MEDIA_NOUNS.items() for word in words.split()}
