//! The ways by which people are told: a program, a hook, a mail; and why one of them fails. Not here:
//! when (`bell`), and what is said (`notices`).

use std::io;

use courier::{Hook, Mail};
use thiserror::Error;

use super::{Notice, bell, program};
use crate::{folder::Folder, settings::Settings};

/// A way.
pub enum Way {
    /// A program of the agency's reads it.
    Program(Vec<String>),
    /// A server of the agency's is called, or a mail is sent.
    Courier(courier::Way),
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
    /// The program did not end in time.
    #[error("the program did not end in time: run it by hand with one line of JSON on its standard input")]
    ProgramLate,
    /// A hook or a mail.
    #[error(transparent)]
    NotCarried(#[from] courier::NotTold),
}

impl NotTold {
    /// The same in Arabic, not yet reviewed by a native speaker of the field.
    #[must_use]
    pub const fn text_ar(self) -> &'static str {
        match self {
            Self::NotRun(_) => "تعذّر تشغيل البرنامج: يُرجى التحقق من مساره ومن صلاحية تشغيله",
            Self::ProgramFailed => "لم ينجح البرنامج: يُرجى تشغيله يدويًا بسطر JSON واحد على مدخله",
            Self::ProgramLate => {
                "لم ينته البرنامج في الوقت المحدد: يُرجى تشغيله يدويًا بسطر JSON واحد على مدخله"
            }
            Self::NotCarried(why) => why.text_ar(),
        }
    }
}

impl Way {
    /// Those of an agency's settings.
    #[must_use]
    pub fn all(settings: &Settings, folder: &Folder) -> Vec<Self> {
        let program = settings.notices.clone().map(Self::Program);
        let hook = settings.hook.clone().map(|hook| Hook::new(hook, folder.root()));
        let mail = settings.mail.clone().map(|mail| Mail::new(mail, folder.root()));
        let (hook, mail) = (hook.map(courier::Way::Hook), mail.map(courier::Way::Mail));
        [program, hook.map(Self::Courier), mail.map(Self::Courier)].into_iter().flatten().collect()
    }

    /// What it is called in settings, answers and the log.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Program(_) => "notices",
            Self::Courier(way) => way.name(),
        }
    }

    /// For how long after a notice what comes is gathered.
    #[must_use]
    pub const fn gather_ms(&self) -> u64 {
        match self {
            Self::Program(_) | Self::Courier(courier::Way::Hook(_)) => 0,
            Self::Courier(courier::Way::Mail(_)) => bell::MAIL_GATHER_MS,
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
            Self::Courier(way) => Ok(way.carry(&notice.message()).await?),
        }
    }
}
