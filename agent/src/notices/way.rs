//! The ways by which people are told: a program, a hook, a mail; and why one of them fails. Not here:
//! when (`bell`), and what is said (`notices`).

use std::io;

use thiserror::Error;

use super::{Notice, bell, hook::Hook, mail::Mail, program};
use crate::{folder::Folder, settings::Settings};

/// A way.
pub enum Way {
    /// A program of the agency's reads it.
    Program(Vec<String>),
    /// A server of the agency's is called.
    Hook(Hook),
    /// A mail is sent.
    Mail(Mail),
}

impl std::fmt::Debug for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Why people could not be told. Each says what to do next, and nothing of what was to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NotTold {
    /// The program did not run.
    #[error("the program does not run ({0}): check its path and who may run it")]
    NotRun(io::ErrorKind),
    /// The program failed.
    #[error("the program failed: run it by hand with one line of JSON on its standard input")]
    ProgramFailed,
    /// Nothing answered in time.
    #[error("no answer in time: check the address, and whether a firewall drops the connection")]
    Late,
    /// Nothing can be connected to.
    #[error("cannot be reached ({0}): check the address, the port and the firewall")]
    Unreachable(io::ErrorKind),
    /// TLS failed.
    #[error(
        "its certificate cannot be trusted, or it speaks no TLS there: check the name and the port; if your agency \
         has its own authority, name its file as `ca`"
    )]
    Tls,
    /// It answered that it does not take it.
    #[error("it answered {0} and did not take the notice: check the address, and its own log")]
    Answered(u16),
    /// The mail server does not let this agent in.
    #[error("the mail server does not accept user or password: check `user` and the file of the password")]
    Password,
    /// What it answered is not of its protocol.
    #[error("what answers there speaks another protocol: check the port, and `security`")]
    Protocol,
    /// A file that the settings name.
    #[error(
        "the file that `{0}` names cannot be used: is it there, for its owner only (chmod 600), and of its form?"
    )]
    File(&'static str),
}

impl NotTold {
    /// The same in Arabic, not yet reviewed by a native speaker of the field.
    #[must_use]
    pub const fn text_ar(self) -> &'static str {
        match self {
            Self::NotRun(_) => "تعذّر تشغيل البرنامج: يُرجى التحقق من مساره ومن صلاحية تشغيله",
            Self::ProgramFailed => "لم ينجح البرنامج: يُرجى تشغيله يدويًا بسطر JSON واحد على مدخله",
            Self::Late => "لم يصل رد في الوقت المحدد: يُرجى التحقق من العنوان ومن جدار الحماية",
            Self::Unreachable(_) => "تعذّر الاتصال: يُرجى التحقق من العنوان والمنفذ وجدار الحماية",
            Self::Tls => {
                "لا يمكن الوثوق بالشهادة أو لا يوجد TLS على هذا المنفذ: يُرجى التحقق من الاسم والمنفذ، أو ذكر ملف هيئة التصديق"
            }
            Self::Answered(_) => "لم يقبل الخادم الإشعار: يُرجى التحقق من العنوان ومن سجل الخادم",
            Self::Password => "لم يقبل خادم البريد المستخدم أو كلمة السر: يُرجى التحقق منهما",
            Self::Protocol => {
                "ما يجيب على هذا المنفذ يستخدم بروتوكولًا آخر: يُرجى التحقق من المنفذ ومن طريقة التأمين"
            }
            Self::File(_) => {
                "تعذّر استخدام ملف مذكور في الإعدادات: هل هو موجود، ولصاحبه وحده، وبالصيغة الصحيحة؟"
            }
        }
    }
}

impl Way {
    /// Those of an agency's settings.
    #[must_use]
    pub fn all(settings: &Settings, folder: &Folder) -> Vec<Self> {
        let program = settings.notices.clone().map(Self::Program);
        let hook = settings.hook.clone().map(|hook| Self::Hook(Hook::new(hook, folder.clone())));
        let mail = settings.mail.clone().map(|mail| Self::Mail(Mail::new(mail, folder.clone())));
        [program, hook, mail].into_iter().flatten().collect()
    }

    /// What it is called in settings, answers and the log.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Program(_) => "notices",
            Self::Hook(_) => "hook",
            Self::Mail(_) => "mail",
        }
    }

    /// For how long after a notice what comes is gathered.
    #[must_use]
    pub const fn gather_ms(&self) -> u64 {
        match self {
            Self::Program(_) | Self::Hook(_) => 0,
            Self::Mail(_) => bell::MAIL_GATHER_MS,
        }
    }

    /// Tells people.
    ///
    /// # Errors
    /// [`NotTold`].
    pub async fn carry(&self, notice: &Notice) -> Result<(), NotTold> {
        match self {
            Self::Program(command) => {
                let (command, message) = (command.clone(), notice.json());
                let carried = tokio::task::spawn_blocking(move || program::carry(&command, &message)).await;
                carried.unwrap_or(Err(NotTold::ProgramFailed))
            }
            Self::Hook(hook) => hook.carry(notice).await,
            Self::Mail(mail) => mail.carry(notice).await,
        }
    }
}

/// Reads a file that the settings name: beside the agent's own, unless its path says otherwise.
pub(super) fn authority(folder: &Folder, path: Option<&str>) -> Result<Option<Vec<u8>>, NotTold> {
    path.map(|path| folder.read_beside(path).map_err(|_| NotTold::File("ca"))).transpose()
}
