"""Whole sentences that WhatsApp writes instead of a message, in the sixty languages of the app.

They are the values of `revoked_msg_incoming`, `missed_voice_call` and so on in the app's resources,
over several versions. A sentence is compared without marks, case and punctuation.
"""

import re
from collections.abc import Iterable, Mapping

from pytok.chat.record import Kind

_DELETED = """
    This message was deleted · You deleted this message · Diese Nachricht wurde gelöscht · Du hast
    diese Nachricht gelöscht · Sie haben diese Nachricht gelöscht · Ce message a été supprimé ·
    Vous avez supprimé ce message · Questo messaggio è stato eliminato · Hai eliminato questo
    messaggio · Se eliminó este mensaje · Este mensaje fue eliminado · Eliminaste este mensaje ·
    Mensagem apagada · Esta mensagem foi apagada · Esta mensagem foi apagada pelo remetente ·
    Apagou esta mensagem · Você apagou esta mensagem · Eliminou esta mensagem · Aquest missatge
    s'ha suprimit · Aquest missatge està esborrat · Has suprimit aquest missatge · Has esborrat
    aquest missatge · Esta mensaxe foi eliminada · Mezu hau ezabatu da · Dit bericht is verwijderd
    · U hebt dit bericht verwijderd · Je hebt dit bericht verwijderd · Hierdie boodskap was
    uitgevee · Jy het boodskap uitgevee · Denne besked blev slettet · Denne besked er blevet
    slettet · Du slettede denne besked · Du har slettet denne besked · Denne meldingen ble slettet
    · Du slettet denne meldingen · Det här meddelandet raderades · Det här meddelandet har raderats
    · Detta meddelande raderades · Du raderade det här meddelandet · Du raderade detta meddelande ·
    Du har tagit bort meddelandet · Tämä viesti poistettiin · Poistit tämän viestin · See sõnum on
    kustutatud · Kustutasid selle sõnumi · Šī ziņa tika izdzēsta · Jūs izdzēsāt šo ziņu · Ši žinutė
    buvo ištrinta · Jūs ištrynėte šią žinutę · Ta wiadomość została usunięta · Usunięto tę
    wiadomość · Usunąłeś (-ęłaś) tę wiadomość · Usunąłeś(aś) tę wiadomość · Tato zpráva byla
    smazána · Tato zpráva byla odstraněna · Tuto zprávu jste smazal/a · Tuto zprávu jste
    odstranil/a · Táto správa bola odstránená · Túto správu ste odstránili · To sporočilo je bilo
    izbrisano · To sporočilo ste izbrisali · Ova poruka je izbrisana · Ova je poruka izbrisana ·
    Izbrisali ste ovu poruku · Ova poruka je obrisana · Ova poruka je obrisana · Obrisali ste ovu
    poruku · Ова порука је обрисана · Обрисао/ла си ову поруку · Обрисали сте ову поруку · Оваа
    порака беше избришана · Ја избриша оваа порака · Съобщението беше изтрито · Това съобщение беше
    изтрито · Изтрихте това съобщение · Acest mesaj a fost șters · Acest mesaj a fost şters · Ați
    șters acest mesaj · Aţi şters acest mesaj · Ez az üzenet törlésre került · Ezt az üzenetet
    törölték · Ezt az üzenetet törölted · Törölted ezt az üzenetet · Αυτό το μήνυμα διαγράφηκε ·
    Διαγράψατε αυτό το μήνυμα · Διαγράψατε το μήνυμα · Ky mesazh u fshi · E fshive këtë mesazh · Bu
    mesaj silindi · Bu mesajı sildiniz · Bu ismarıc silindi · Siz bu ismarıcı sildiniz · Bu mesaj
    silinib · Данное сообщение удалено · Это сообщение удалено · Вы удалили это сообщение · Вы
    удалили данное сообщение · Це повідомлення було видалено · Це повідомлення видалено · Ви
    видалили це повідомлення · Гэта паведамленне было выдалена · Бұл хат жойылды · Сіз бұл хатты
    жойдыңыз · Ushbu xabar o‘chirildi · Siz ushbu xabarni o‘chirdingiz · Scriosadh an
    teachtaireacht seo · Scrios tú an teachtaireacht seo · Ujumbe huu ulifutwa · Umefuta ujumbe huu
    · Itong mensahe ay binura na · Binura mo itong mensahe · Pesan ini dihapus · Pesan ini telah
    dihapus · Anda menghapus pesan ini · Anda telah menghapus pesan ini · Mesej ini telah dipadam ·
    Anda telah memadamkan mesej ini · Mesej ini dipadamkan · Tin nhắn này đã bị xóa · Tin nhắn này
    đã bị xoá · Bạn đã xóa tin nhắn này · Bạn đã xoá tin nhắn này · ข้อความนี้ถูกลบแล้ว ·
    ข้อความนี้ถูกลบ · ข้อความนี้ได้ถูกลบ · คุณได้ลบข้อความนี้ · คุณลบข้อความนี้ ·
    คุณลบข้อความนี้แล้ว · הודעה זו נמחקה · מחקת את ההודעה הזו · מחקת הודעה זו · تم حذف هذه الرسالة
    · تم مسح هذه الرسالة · لقد حذفت هذه الرسالة · حذفت هذه الرسالة · أنت حذفت هذه الرسالة · این
    پیام حذف شد · این پیام حذف شده است · شما این پیام را حذف کردید · یہ میسج حذف کر دیا گیا ہے · آپ
    نے یہ میسج حذف کر دیا ہے · یہ پیغام حذف کیا گیا · آپ نے اس پیغام کو حذف کیا · यह मैसेज डिलीट कर
    दिया गया है · यह मैसेज डिलीट किया गया · आपने यह मैसेज डिलीट किया · यह संदेश मिटाया गया · आपने
    यह संदेश मिटाया · हा मेसेज हटवण्यात आला · तुम्ही हा मेसेज हटवला · हा संदेश हटविण्यात आला होता ·
    आपण हा संदेश हटविलात · આ મેસેજ ડિલીટ કરાયો · તમે આ મેસેજ ડિલીટ કર્યો · આ સંદેશ રદ્દ કરાયો · તમે
    આ સંદેશને રદ્દ કર્યો · এই মেসেজটি বাদ দেওয়া হয়েছে · এই মেসেজটি মুছে ফেলা হয়েছে · আপনি এই
    মেসেজটি বাদ দিয়েছেন · এই বার্তাটি মুছে ফেলা হয়েছে · আপনি এই বার্তাটি মুছে ফেলেছেন · ਇਸ ਸੁਨੇਹੇ
    ਨੂੰ ਹਟਾਇਆ ਗਿਆ · ਤੁਸੀਂ ਇਹ ਸੁਨੇਹਾ ਹਟਾਇਆ · இத்தகவல் திரும்பப்பெறப்பட்டது · இத்தகவலை தாங்கள்
    அழித்தீர்கள் · இந்த மெசேஜ் நீக்கப்பட்டது · இந்த செய்தி நீக்கப்பட்டது · ఈ సందేశం తొలగించబడింది ·
    మీరు ఈ సందేశాన్ని తొలగించారు · ಈ ಸಂದೇಶವು ಅಳಿಸಲ್ಪಟ್ಟಿದೆ · ನೀವು ಈ ಸಂದೇಶವನ್ನು ಅಳಿಸಿದ್ದೀರಿ · ഈ
    സന്ദേശം ഇല്ലാതാക്കിയതാണ് · ഈ സന്ദേശം നിങ്ങൾ ഇല്ലാതാക്കി · 此訊息已刪除 · 您已刪除此訊息 ·
    这条消息已被删除 · 此消息已被删除 · 此消息已删除 · 信息已删除 · 您已删除这条消息 ·
    您已删除此消息 · 您删除这个信息 · このメッセージは削除されました · このメッセージを削除しました
    · 이 메시지는 삭제되었습니다 · 이 메시지를 삭제했습니다 · 삭제한 메시지입니다 · 삭제된
    메시지입니다
"""

_CALL = """
    Missed voice call · Missed video call · Missed group voice call · Missed group video call ·
    Silenced voice call · Silenced video call · Ligação de voz perdida · Ligação de vídeo perdida ·
    Verpasster Gruppen-Sprachanruf · Verpasster Gruppen-Videoanruf · Verpasster Sprachanruf ·
    Verpasster Videoanruf · Appel vocal manqué · Appel vidéo manqué · Chiamata vocale persa ·
    Videochiamata persa · Llamada de voz perdida · Llamada perdida · Videollamada perdida · Chamada
    de voz perdida · Chamada de vídeo perdida · Videochamada perdida · Trucada de veu perduda ·
    Videotrucada perduda · Gemiste spraakoproep · Gemiste video-oproep · Gemist spraakgesprek ·
    Gemist videogesprek · Stemoproep gemis · Video-oproep gemis · Ubesvaret taleopkald · Ubesvaret
    videoopkald · Mistet opkald · Tapt taleanrop · Tapt videoanrop · Missat röstsamtal · Missat
    videosamtal · Vastaamaton äänipuhelu · Vastaamaton videopuhelu · Vastamata häälkõne · Vastamata
    videokõne · Neatbildēts balss zvans · Neatbildēts video zvans · Praleistas balso skambutis ·
    Praleistas video skambutis · Nieodebrane połączenie głosowe · Nieodebrane połączenie wideo ·
    Nieodebrane połączenie · Nieodebrane poł. głosowe · Nieodebrane poł. wideo · Zmeškaný hovor ·
    Zmeškaný hlasový hovor · Zmeškaný videohovor · Zgrešen klic · Neodgovorjen video klic ·
    Propušten glasovni poziv · Propušten video poziv · Propušteni glasovni poziv · Propušteni
    videopoziv · Пропуштен гласовни позив · Пропуштен видео позив · Пропуштен гласовен повик ·
    Пропуштен видео повик · Пропуснато гласово обаждане · Пропуснато видео обаждане · Apel vocal
    nepreluat · Apel video nepreluat · Apel vocal ratat · Apel video ratat · Nem fogadott hanghívás
    · Nem fogadott videohívás · Nem fogadott videóhívás · Αναπάντητη κλήση · Αναπάντητη φωνητική
    κλήση · Αναπάντητη βιντεοκλήση · Thirrje e shmangur · Cevapsız sesli arama · Cevapsız görüntülü
    arama · Buraxılmış zəng · Buraxılmış video zəng · Пропущенный аудиозвонок · Пропущенный
    видеозвонок · Пропущений аудіодзвінок · Пропущений відеодзвінок · Жауапсыз қоңырау · Guthghlao
    caillte · Físghlao caillte · Simu ya sauti uliyoikosa · Nakaligtaang voice call · Nakaligtaang
    video call · Panggilan suara tak terjawab · Panggilan video tak terjawab · Panggilan suara
    terlepas · Panggilan video terlepas · Cuộc gọi nhỡ · Cuộc gọi thoại nhỡ · Cuộc gọi nhỡ video ·
    Cuộc gọi video nhỡ · สายที่ไม่ได้รับ · วิดีโอคอลที่ไม่ได้รับ · שיחה קולית שלא נענתה · שיחת
    וידאו שלא נענתה · مكالمة صوتية فائتة · مكالمة فيديو فائتة · تماس صوتی پاسخ داده نشده · تماس
    تصویری پاسخ داده نشده · مسڈ وائس کال · مسڈ ویڈیو کال · मिस्ड वॉइस कॉल · मिस्ड वीडियो कॉल ·
    मिस्ड व्हॉइस कॉल · मिस्ड व्हिडिओ कॉल · છૂટી ગયેલો વોઇસ કૉલ · છૂટી ગયેલ વિડિયો કૉલ · ভয়েস কল
    মিস করেছেন · ভিডিও কল মিস করেছেন · মিসড ভয়েস কল · தவறிய குரல் அழைப்பு · தவறிய காணொலி அழைப்பு ·
    未接語音通話 · 未接视频通话 · 未接语音通话 · 未接視像通話 · 音声通話不在着信 ·
    ビデオ通話不在着信 · 不在着信 · 부재중 전화 · 부재중 음성통화 · 부재중 영상통화
"""

_LOCATION = """
    live location shared · Live-Standort wird geteilt · Localisation en direct partagée · posizione
    attuale condivisa · ubicación en tiempo real compartida · localização atual compartilhada ·
    Está a partilhar a sua localização · Ubicació en directe compartida · live locatie gedeeld ·
    live placering delt · posisjon i sanntid delt · liveposition delad · live-sijainti jaettu ·
    udostępniona transmisja położenia · byla sdílena aktuální poloha · bola zdieľaná aktuálna
    poloha · trenutna lokacija podijeljena · Локација уживо подељена · местоположение в реално
    време споделено · locație în timp real distribuită · tartózkodási hely megosztva · η τωρινή
    τοποθεσία κοινοποιήθηκε · Mevcut konum paylaşıldı · Геоданные отправлены · геодані надіслано ·
    Lokasi terkini dibagikan · lokasi terkini dikongsi · vị trí hiện thời được chia sẻ ·
    ตำแหน่งปัจจุบันถูกแบ่งปัน · משתף מיקום בשידור חי · تمت مشاركة الموقع المباشر · مکان زنده به
    اشتراک گذاشته شد · लाइव स्थान साझा किया गया · 實時位置已分享 · 共享实时位置 ·
    ライブロケーション共有 · 공유한 실시간 위치
"""

_OMITTED = {
    "image": """
        image omitted · Bild weggelassen · image absente · immagine omessa · imagen omitida ·
        imagem não revelada · imagem ocultada · Imatge omesa · afbeelding weggelaten · billede
        udeladt · bilde ikke inkludert · bild utesluten · bild utelämnad · ei kuvaa · kuva jätetty
        pois · obraz pominięty · obrázek vynechán · obrázok vynechaný · slika izostavljena ·
        Imagine omisă · kép küldése sikertelen · kép kihagyva · εικόνα παραλείφθηκε · görüntü dahil
        edilmedi · изображение отсутствует · зображення відсутнє · gambar tidak disertakan · imej
        tidak dimasukkan · đã bỏ qua hình ảnh · ไม่มีรูปภาพ · התמונה הושמטה · لم يتم إدراج الصورة ·
        تصویر حذف شد · تصویر نکال دی گئی ہے · फ़ोटो हटाई गई · इमेज वगळली · છબી પડતી મૂકાઈ · ইমেজ
        বাদ দেওয়া হয়েছে · 圖片已略去 · 圖像已省略 · 照片已忽略 · 画像は含まれていません · 이미지
        생략됨 · íomhá ligthe ar lár
    """,
    "video": """
        video omitted · Video weggelassen · vidéo absente · video omesso · Video omitido · vídeo
        não revelado · vídeo omitido · vídeo omès · video weggelaten · video udeladt · video
        utelatt · video utesluten · videota ei sisällytetä · wideo pominięte · video vynecháno ·
        video vynechané · video izostavljen · clip video omis · Videó kihagyva · βίντεο
        παραλείφθηκε · video dahil edilmedi · видео отсутствует · відео відсутнє · video tidak
        disertakan · video tidak dimasukkan · đã bỏ video · วิดีโอถูกลบ · סרטון הווידאו הושמט · لم
        يتم إدراج الفيديوهات · ویدیو حذف شد · ویڈیو نظرانداز · वीडियो छोड़ा गया · व्हिडीओ वगळला ·
        વિડિયો પડતી મુકાઈ · ভিডিও বাদ দেওয়া হয়েছে · 影片已略去 · 影片已省略 · 视频已忽略 ·
        ビデオは含まれていません · 비디오 생략됨 · video note omitted · Videonachricht weggelassen
        · Video-Notiz weggelassen
    """,
    "audio": """
        audio omitted · Audio weggelassen · audio omis · audio omesso · audio omitido · ficheiro de
        áudio não revelado · áudio ocultado · Àudio omès · audio weggelaten · lyd udeladt · lyd
        utelatt · ljud utelslutet · ljud uteslutet · äänitiedostoa ei sisällytetä · audio pominięte
        · zvukový soubor vynechán · zvuk vynechaný · zvuk izostavljen · fără audio · Hang kihagyása
        · ήχος παραλείφθηκε · ses dahil edilmedi · аудиофайл отсутствует · аудіо відсутнє · audio
        tidak disertakan · audio tidak dimasukkan · bỏ qua tệp âm thanh · ไม่มีไฟล์เสียง · קטע קול
        הושמט · لم يتم إدراج المقاطع الصوتية · صدا حذف شد · آڈیو نظرانداز · ऑडियो हटाई गयी · ऑडिओ
        वगळला · অডিও বাদ দেওয়া হয়েছে · 音訊已略去 · 音訊已省略 · 音频已忽略 ·
        音声は含まれていません · 오디오 생략됨
    """,
    "sticker": """
        sticker omitted · Sticker weggelassen · sticker omis · sticker non incluso · sticker
        omitido · sticker não revelado · figurinha omitida · adhesiu omès · sticker weggelaten ·
        klistermærke udeladt · klistremerke utelatt · sticker utesluten · tarraa ei sisällytetty ·
        pominięto naklejkę · nálepka vynechána · nálepka vynechaná · naljepnica izostavljena ·
        matrica kihagyva · αυτοκόλλητο παραλήφθηκε · Çıkartma dahil edilmedi · стикер не добавлен ·
        Наклейку не додано · stiker tidak disertakan · pelekat tidak disertakan · đã bỏ sticker ·
        ไม่มีสติกเกอร์ · סטיקר הושמט · تم حذف الملصقات · استیکر حذف شد · اسٹیکر نظرانداز · स्टिकर
        छोड़ा गया · स्टिकर वगळले · স্টিকার বাদ দেওয়া হয়েছে · 貼圖已略去 · 貼圖已忽略 · 贴图已省略
        · スタンプは含まれていません · 스티커 제외됨
    """,
    "gif": """
        GIF omitted · GIF weggelassen · GIF retiré · GIF esclusa · GIF omitido · GIF não revelada ·
        GIF omès · GIF weggelaten · GIF udeladt · GIF utelatt · GIF utesluten · GIF-animaatio
        jätetty pois · Plik GIF pominięty · GIF vynechán · GIF vynechaný · GIF izostavljen · GIF
        omis · GIF fájl kihagyása · Παράληψη GIF · GIF dahil edilmedi · GIF отсутствует ·
        GIF-анімацію пропущено · GIF tidak disertakan · GIF tidak dimasukkan · Đã bỏ qua ảnh GIF ·
        ละเว้น GIF · GIF הושמט · لم يتم إدراج صورة GIF · GIF حذف شد · GIF نظرانداز · GIF छोड़ा गया
        · GIF वगळले · GIF 已略去 · GIF 圖片已被省略 · GIF 动态图已被忽略 · GIFは含まれていません ·
        GIF 생략됨
    """,
    "document": """
        document omitted · Dokument weggelassen · document manquant · documento omesso · documento
        omitido · documento não revelado · Document omès · document weggelaten · dokument udeladt ·
        utelatt dokument · dokument uteslutet · dokumenttia ei sisällytetä · dokument pominięty ·
        dokument vynechán · dokument vynechaný · dokument izostavljen · document omis · dokumentum
        kihagyva · έγγραφο παραλείφθηκε · belge dahil edilmedi · документ отсутствует · документ
        пропущено · dokumen tidak disertakan · dokumen tidak dimasukkan · đã bỏ qua tài liệu ·
        ละเว้นเอกสาร · מסמך הושמט · لم يتم إدراج المستند · سند حذف شد · دستاویز نظرانداز ·
        डॉक्यूमेंट छोड़ा गया · डॉक्युमेंट वगळले · 文件已略去 · 文件已忽略 · 文档已省略 ·
        ドキュメントは含まれていません · 문서 생략됨
    """,
    "contact": """
        Contact card omitted · Kontaktkarte ausgelassen · Fiche contact manquante · Scheda contatto
        omessa · Tarjeta de contacto omitida · Contacto não revelado · Cartão do contato omitido ·
        Targeta de contacte omesa · Visitekaartje weggelaten · Kontaktkort udeladt · Kontaktkort
        sløyfet · Kontaktkort uteslutet · Yhteystietokortti jätettiin pois · Pominięta wizytówka
        kontaktu · Vizitka vynechána · Karta kontaktu vynechaná · Posjetnica izostavljena · Carte
        de vizită contact omisă · Névjegykártya kihagyva · Η κάρτα επαφής παραλήφθηκε · Kişi kartı
        dahil edilmedi · Карточка контакта отсутствует · Картка контакту відсутня · Kartu kontak
        tidak disertakan · Kad kenalan tidak dimasukkan · Bỏ qua thẻ liên lạc · כרטיס איש קשר הושמט
        · لم يتم إدراج بطاقة جهة اتصال · برگ مخاطب حذف شد · कॉन्टैक्ट कार्ड छोड़ा गया · संपर्क
        कार्ड वगळले · 聯絡人卡片已略去 · 聯絡人卡片已省略 · 联系人卡片已忽略 · 連絡先カードを省略 ·
        연락처 카드 생략됨
    """,
}  # fmt: skip

_NOT_WORDS = re.compile(r"[\W_]+")
LONGEST = 100
"""Characters of a body up to which it can be one sentence of the app."""


def words_of(text: str) -> tuple[str, ...]:
    """Return the words of *text* without case, marks and punctuation."""
    return tuple(_NOT_WORDS.sub(" ", text.casefold().replace("\u0307", "")).split())


def _sentences(listed: str) -> Iterable[tuple[str, ...]]:
    return (words_of(sentence) for sentence in " ".join(listed.split()).split(" · "))


_KINDS: dict[tuple[str, ...], tuple[Kind, str | None]] = {
    **dict.fromkeys(_sentences(_CALL), ("call", None)),
    **dict.fromkeys(_sentences(_LOCATION), ("location", None)),
    **{
        words: ("media", media)
        for media, listed in _OMITTED.items()
        for words in _sentences(listed)
    },
    **dict.fromkeys(_sentences(_DELETED), ("deleted", None)),
}
_SHORTER: Mapping[frozenset[str], tuple[str, ...]] = {
    frozenset(words[:index] + words[index + 1 :]): words
    for words, (kind, _) in _KINDS.items()
    for index in range(len(words))
    if kind == "deleted" and len(words) > 3
}
"""Notices of deletion without one of their words: "message was deleted" in another version."""


def find_sentence(body: str) -> tuple[Kind, str | None] | None:
    """Return the kind and the type of media that *body* stands for, if it is a sentence."""
    if len(body) > LONGEST:
        return None
    words = words_of(body)
    found = _KINDS.get(words)
    if found is None and (whole := _SHORTER.get(frozenset(words))) is not None:
        found = _KINDS[whole]
    return found
