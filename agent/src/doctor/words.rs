//! What each finding means and what to do about it, in English and Arabic. Not here: finding it, and
//! the words about the exchange folder, which it says itself.

use crate::exchange::Warning;

/// The words of a code.
pub(super) fn of(code: &str) -> (&'static str, &'static str) {
    let found =
        TABLE.iter().find(|(known, _, _)| *known == code).map(|(_, english, arabic)| (*english, *arabic));
    let warning = || Warning::ALL.into_iter().find(|warning| warning.code() == code);
    let of_warning = |warning: Warning| (warning.text_en(), warning.text_ar());
    found.or_else(|| warning().map(of_warning)).unwrap_or_default()
}

/// Each code once.
pub(super) const TABLE: &[(&str, &str, &str)] = &[
    ("GOOD", "Good.", "سليم."),
    ("NOT_CHECKED", "Not looked at: mend what stands before it first.", "لم يُفحص: أصلح ما قبله أولًا."),
    (
        "FOLDER_NOT_READ",
        "The agent's folder cannot be read. Name it with -C, and run this as the user who runs the agent.",
        "تعذّرت قراءة مجلد البرنامج. حدّد المجلد الصحيح وشغّل الأمر بحساب المستخدم الذي يشغّل البرنامج.",
    ),
    (
        "PERMISSIONS_LOOSE",
        "Others may read or change what is named: allow its owner only (chmod 700 for a folder, 600 for a file).",
        "يستطيع آخرون قراءة المذكور أو تغييره: اسمح لمالكه وحده.",
    ),
    (
        "FOREIGN_OWNER",
        "What is named belongs to another user: run the agent, and this, as its owner.",
        "المذكور ملك مستخدم آخر: شغّل البرنامج وهذا الأمر بحساب مالكه.",
    ),
    (
        "SETTINGS_NOT_READ",
        "The settings are not of their form: correct what is named in agent.toml, as its sample describes it.",
        "الإعدادات ليست بالصيغة الصحيحة: صحّح المذكور في ملف الإعدادات كما يصفه النموذج.",
    ),
    (
        "NETWORK_NOT_READ",
        "The network's file is not of its form: ask the administrators for network.toml again.",
        "ملف الشبكة ليس بالصيغة الصحيحة: اطلبه من المسؤولين مرة أخرى.",
    ),
    (
        "KEYS_NOT_READ",
        "A key cannot be read: restore the file that is named from the backup.",
        "تعذّرت قراءة مفتاح: استعد الملف المذكور من النسخة الاحتياطية.",
    ),
    (
        "DISK_NOT_READ",
        "The room on the disk cannot be told: look at the disk.",
        "تعذّرت معرفة مساحة القرص: افحص القرص.",
    ),
    (
        "DISK_FULL",
        "The disk is nearly full, and nothing new is sent: make room.",
        "القرص ممتلئ تقريبًا ولا يُرسل شيء جديد: وفّر مساحة.",
    ),
    ("DISK_LOW", "The disk will be full soon: make room.", "سيمتلئ القرص قريبًا: وفّر مساحة."),
    (
        "NOT_RUNNING",
        "The agent does not run: start it with `agent run`, or its service.",
        "برنامج الربط لا يعمل: شغّله أو شغّل خدمته.",
    ),
    (
        "RESTORED",
        "A backup of this day was restored, and nothing is known to be missing so far. Let the agent connect: it compares with the gateway's evidence. When people have looked, delete restored.json.",
        "استُعيدت نسخة احتياطية من هذا اليوم ولا يُعرف حتى الآن أن شيئًا ينقصها. دع البرنامج يتصل ليقارن بأدلة البوابة، وبعد نظر الأشخاص احذف ملف الاستعادة.",
    ),
    (
        "RESTORED_AND_MISSING",
        "Of these referrals something was sent or received after the backup was made, and is not here. Telephone the other agency: what it sent it sends again, and in what you sent you go on in a new referral. When people have looked, delete restored.json.",
        "أُرسل في هذه الإحالات أو ورد فيها شيء بعد النسخة الاحتياطية وهو غير موجود هنا. اتصل بالجهة الأخرى هاتفيًا لتعيد إرسال ما أرسلته، وتابع ما أرسلته أنت في إحالة جديدة. وبعد نظر الأشخاص احذف ملف الاستعادة.",
    ),
    (
        "CERTIFICATE_MISSING",
        "There is no certificate yet: join with `agent enrol`, or put the one in place that the administrators gave, with `agent install`.",
        "لا توجد شهادة بعد: انضم بالدعوة أو ثبّت الشهادة التي أعطاها المسؤولون.",
    ),
    (
        "CERTIFICATE_NOT_USABLE",
        "The certificate cannot be used: it has ended, or is another's, or this machine's clock is wrong. Look at the clock; then ask the administrators for a new one.",
        "لا يمكن استعمال الشهادة: انتهت أو أنها لغيرك أو ساعة هذا الجهاز غير صحيحة. تحقق من الساعة ثم اطلب شهادة جديدة من المسؤولين.",
    ),
    (
        "CERTIFICATE_ENDS_SOON",
        "The certificate ends soon, and was not renewed: let the agent run and connect; `agent status` says why it is not renewed.",
        "تنتهي الشهادة قريبًا ولم تُجدد: دع البرنامج يعمل ويتصل؛ يعرض أمر الحالة سبب عدم التجديد.",
    ),
    (
        "NAME_NOT_FOUND",
        "The name cannot be looked up: ask your IT for its DNS entry, or put the address into `connect` of agent.toml. Through a proxy, check `proxy`.",
        "تعذّر العثور على الاسم: اطلب من قسم تقنية المعلومات تعريفه، أو اكتب العنوان في الإعدادات. وعند استعمال وسيط تحقق من إعداده.",
    ),
    (
        "TCP_REFUSED",
        "Nothing listens there, or a firewall refuses: check the address, then ask your IT to allow outgoing connections to it.",
        "لا أحد يستمع هناك أو أن جدار الحماية يمنع الاتصال: تحقق من العنوان ثم اطلب من قسم تقنية المعلومات السماح بالاتصال الصادر إليه.",
    ),
    (
        "TCP_FAILED",
        "It cannot be reached: check the network, then ask your IT to allow outgoing connections to it.",
        "تعذّر الوصول إليه: تحقق من الشبكة ثم اطلب من قسم تقنية المعلومات السماح بالاتصال الصادر إليه.",
    ),
    (
        "TCP_SILENT",
        "Nobody answers: most likely a firewall drops it. Ask your IT to allow outgoing connections to it, or for the HTTP proxy, and put that into `proxy` of agent.toml.",
        "لا إجابة: يُرجّح أن جدار حماية يحجب الاتصال. اطلب من قسم تقنية المعلومات السماح به، أو عنوان الوسيط لكتابته في الإعدادات.",
    ),
    (
        "PROXY_UNREACHABLE",
        "The proxy cannot be reached: check `proxy` in agent.toml.",
        "تعذّر الوصول إلى الوسيط: تحقق من إعداده.",
    ),
    (
        "PROXY_PASSWORD",
        "The proxy asks for a password: ask your IT to let this machine through to the gateway without one.",
        "يطلب الوسيط كلمة مرور: اطلب من قسم تقنية المعلومات السماح لهذا الجهاز بالوصول إلى البوابة من دونها.",
    ),
    (
        "PROXY_REFUSED",
        "The proxy does not let this through: ask your IT to allow CONNECT to the gateway's address and port.",
        "لا يسمح الوسيط بالمرور: اطلب من قسم تقنية المعلومات السماح بالاتصال بعنوان البوابة ومنفذها.",
    ),
    (
        "NO_PROXY",
        "What answers is no HTTP proxy: check `proxy` in agent.toml.",
        "ما يجيب ليس وسيطًا: تحقق من إعداد الوسيط.",
    ),
    (
        "TLS_INSPECTED",
        "What answers is not this network's gateway. Most likely something inspects TLS on the way; who signed its certificate is named. Ask your IT to let this address through unopened. Nothing was sent.",
        "ما يجيب ليس بوابة هذه الشبكة. يُرجّح أن جهازًا في الطريق يفحص الاتصال المشفّر، واسم موقّع شهادته مذكور. اطلب من قسم تقنية المعلومات تمرير هذا العنوان من دون فتحه. لم يُرسل شيء.",
    ),
    (
        "GATEWAY_NOT_IN_TIME",
        "The gateway's certificate is not in force by this machine's clock: set the clock; if it is right, telephone the administrators.",
        "شهادة البوابة غير سارية بحسب ساعة هذا الجهاز: اضبط الساعة، وإن كانت صحيحة فاتصل بالمسؤولين.",
    ),
    (
        "GATEWAY_OTHER_NAME",
        "What answers has another name than the gateway: check `connect` and `gateway`.",
        "لما يجيب اسم غير اسم البوابة: تحقق من العنوان في الإعدادات وفي ملف الشبكة.",
    ),
    (
        "NOT_TLS_1_3",
        "What answers does not speak TLS 1.3 as the gateway does: most likely something inspects TLS on the way. Ask your IT to let this address through unopened.",
        "لا يتحدث ما يجيب بإصدار التشفير الذي تستعمله البوابة: يُرجّح أن جهازًا في الطريق يفحص الاتصال. اطلب من قسم تقنية المعلومات تمرير هذا العنوان من دون فتحه.",
    ),
    (
        "NOT_TLS",
        "What answers does not speak TLS: check the address and port; a page of a firewall may stand there.",
        "ما يجيب لا يستعمل اتصالًا مشفّرًا: تحقق من العنوان والمنفذ؛ قد تكون صفحة من جدار حماية.",
    ),
    (
        "TLS_FAILED",
        "The handshake failed: give what is named to the administrators.",
        "تعذّرت المصافحة المشفّرة: أبلغ المسؤولين بالمذكور.",
    ),
    (
        "LARGE_HELLO_DROPPED",
        "A small hello gets through and the large post-quantum one does not: a firewall drops it. Ask your IT to update it, or to let a TLS ClientHello of several packets through to this address.",
        "تمر رسالة البدء الصغيرة ولا تمر الكبيرة المقاومة للحوسبة الكمية: جدار حماية يحجبها. اطلب من قسم تقنية المعلومات تحديثه أو السماح برسالة بدء من عدة حزم إلى هذا العنوان.",
    ),
    (
        "TLS_SILENT",
        "The connection is made, and then nothing answers: a firewall cuts TLS, or the gateway is overloaded. Try again in a minute; then ask your IT to let TLS through to this address.",
        "يُقبل الاتصال ثم لا إجابة: جدار حماية يقطع الاتصال المشفّر أو أن البوابة مثقلة. أعد المحاولة بعد دقيقة ثم اطلب من قسم تقنية المعلومات تمريره.",
    ),
    (
        "NO_GATEWAY",
        "What answers is of the network and no gateway: check `connect`, and telephone the administrators.",
        "ما يجيب من الشبكة وليس بوابة: تحقق من العنوان واتصل بالمسؤولين هاتفيًا.",
    ),
    (
        "CERTIFICATE_REFUSED",
        "The gateway does not take this agent's certificate, or cut the connection: it was revoked, or has ended. Look at the clock; then telephone the administrators.",
        "لا تقبل البوابة شهادة هذا البرنامج أو قطعت الاتصال: أُلغيت الشهادة أو انتهت. تحقق من الساعة ثم اتصل بالمسؤولين هاتفيًا.",
    ),
    (
        "CLOCK_OFF",
        "This machine's clock differs from the gateway's: let it be set by the network (NTP).",
        "تختلف ساعة هذا الجهاز عن ساعة البوابة: اضبطها تلقائيًا من الشبكة.",
    ),
    (
        "CLOCK_WRONG",
        "This machine's clock is wrong, and certificates and envelopes will be refused: set it, and let it be set by the network (NTP).",
        "ساعة هذا الجهاز غير صحيحة وستُرد الشهادات والرسائل: اضبطها تلقائيًا من الشبكة.",
    ),
    (
        "DIRECTORY_NOT_FOLLOWED",
        "The directory's log cannot be followed or does not prove right: telephone the administrators, and tell them what is named.",
        "تعذّرت متابعة سجل الدليل أو لم يثبت: اتصل بالمسؤولين هاتفيًا وأبلغهم بالمذكور.",
    ),
    (
        "SIGNING_KEY_NOT_IN_FORCE",
        "The agency's signing key is not in force in the directory: after an invitation to come back it is within a day; else telephone the administrators.",
        "مفتاح توقيع الجهة غير سارٍ في الدليل: بعد دعوة العودة يسري خلال يوم، وإلا فاتصل بالمسؤولين هاتفيًا.",
    ),
    (
        "KEY_NOT_PUBLISHED",
        "A key of this agent does not stand in the directory yet: let the agent run, and it publishes it.",
        "أحد مفاتيح هذا البرنامج غير منشور في الدليل بعد: دع البرنامج يعمل وسينشره.",
    ),
    (
        "NO_AGREEMENT_IN_FORCE",
        "No agreement that binds this agency is in force, so nothing can be sent: `agent agreements` shows how each stands.",
        "لا توجد اتفاقية سارية تُلزم هذه الجهة فلا يمكن إرسال شيء: يعرض أمر الاتفاقيات حالة كل منها.",
    ),
];
