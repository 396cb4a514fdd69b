//! Telling people: a message goes to a server by HTTP, or as a mail, and what failed is said so that a
//! person can mend it. It knows nothing of referrals. Not here: what is said, to whom it matters, and when
//! it is tried again.

mod files;
mod hook;
mod mail;
pub mod settings;

use std::io;

use thiserror::Error;

pub use hook::{HOOK_TIME_MAX, Hook};
pub use mail::{MAIL_TIME_MAX, Mail};

/// A message, in each of the forms that a way may want.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// A mail's subject.
    pub subject: String,
    /// A mail's text, with `\r\n` at the end of each line.
    pub text: String,
    /// What a hook gets: one JSON object.
    pub json: String,
}

/// A way by which people are told.
pub enum Way {
    /// A server is called.
    Hook(Hook),
    /// A mail is sent.
    Mail(Mail),
}

impl Way {
    /// What it is called in settings, answers and the log.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Hook(_) => "hook",
            Self::Mail(_) => "mail",
        }
    }

    /// Tells people, within [`HOOK_TIME_MAX`] or [`MAIL_TIME_MAX`].
    ///
    /// # Errors
    /// [`NotTold`].
    pub async fn carry(&self, message: &Message) -> Result<(), NotTold> {
        match self {
            Self::Hook(hook) => hook.carry(&message.json).await,
            Self::Mail(mail) => mail.carry(message).await,
        }
    }
}

// An address may hold a secret, and a mailbox is somebody's.
impl std::fmt::Debug for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Why people could not be told. Each says what to do next, and nothing of what was to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NotTold {
    /// Nothing answered in time.
    #[error("no answer in time: check the address, and whether a firewall drops the connection")]
    Late,
    /// Nothing can be connected to.
    #[error("cannot be reached ({0}): check the address, the port and the firewall")]
    Unreachable(io::ErrorKind),
    /// TLS failed.
    #[error(
        "its certificate cannot be trusted, or it speaks no TLS there: check the name and the port; if it leads to \
         an authority of your own, name its file as `ca`"
    )]
    Tls,
    /// It answered that it does not take it.
    #[error("it answered {0} and did not take the message: check the address, and its own log")]
    Answered(u16),
    /// The mail server does not let this program in.
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
            Self::Late => "لم يصل رد في الوقت المحدد: يُرجى التحقق من العنوان ومن جدار الحماية",
            Self::Unreachable(_) => "تعذّر الاتصال: يُرجى التحقق من العنوان والمنفذ وجدار الحماية",
            Self::Tls => {
                "لا يمكن الوثوق بالشهادة أو لا يوجد TLS على هذا المنفذ: يُرجى التحقق من الاسم والمنفذ، أو ذكر ملف هيئة التصديق"
            }
            Self::Answered(_) => "لم يقبل الخادم الرسالة: يُرجى التحقق من العنوان ومن سجل الخادم",
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
