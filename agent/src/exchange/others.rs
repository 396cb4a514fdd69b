//! Who else can read the folder, as far as this machine can tell; and a file in it that says so, since whoever
//! works with the folder sees nothing else of the agent. Arabic is not yet reviewed by a native speaker of the
//! field. Not here: who should.

use std::{fs, io, os::unix::fs::MetadataExt as _, path::Path};

use super::{place, place::Place};

/// What the file is called: it stands first.
const WARNING: &str = "!WARNING.txt";

/// What is wrong with who can read the folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Warning {
    /// Every user of this machine can.
    Everybody,
    /// A group of users can.
    Group,
    /// It lies on another machine, whose rules this one cannot see.
    Elsewhere,
}

impl Warning {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Everybody, Self::Group, Self::Elsewhere];

    /// A stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Everybody => "EXCHANGE_OPEN_TO_EVERYBODY",
            Self::Group => "EXCHANGE_OPEN_TO_A_GROUP",
            Self::Elsewhere => "EXCHANGE_ON_A_SHARE",
        }
    }

    /// What it means, and what to do, in English.
    #[must_use]
    pub const fn text_en(self) -> &'static str {
        match self {
            Self::Everybody => {
                "Every user of this machine can read or change the exchange folder, or what lies in it: cases lie \
                 there in clear. Allow only those who work with it (chmod -R o-rwx)."
            }
            Self::Group => {
                "A group of users can read or change the exchange folder: cases lie there in clear. If exactly they \
                 work with it, write `shared = true` into [exchange] of agent.toml; otherwise allow its owner only \
                 (chmod -R go-rwx)."
            }
            Self::Elsewhere => {
                "The exchange folder lies on another machine, and who can read it is decided there: cases lie there \
                 in clear, also for whoever keeps that machine and its backups. Ask who that is; when it is right, \
                 write `shared = true` into [exchange] of agent.toml."
            }
        }
    }

    /// The same in Arabic.
    #[must_use]
    pub const fn text_ar(self) -> &'static str {
        match self {
            Self::Everybody => {
                "يستطيع كل مستخدمي هذا الجهاز قراءة مجلد التبادل أو ما فيه أو تغييره، وفيه حالات غير مشفّرة. اسمح فقط لمن \
                 يعمل به."
            }
            Self::Group => {
                "تستطيع مجموعة من المستخدمين قراءة مجلد التبادل أو تغييره، وفيه حالات غير مشفّرة. إن كانوا هم من يعمل به \
                 فقط فاكتب ذلك في الإعدادات، وإلا فاسمح لمالكه وحده."
            }
            Self::Elsewhere => {
                "مجلد التبادل على جهاز آخر، ومن يستطيع قراءته يُحدَّد هناك. فيه حالات غير مشفّرة يراها أيضًا من يدير ذلك \
                 الجهاز ونسخه الاحتياطية. اسأل من هم، فإن كان ذلك صحيحًا فاكتبه في الإعدادات."
            }
        }
    }
}

/// What is wrong with who can read a folder. A group, or another machine, is right when the settings say so;
/// everybody never is.
pub(super) fn warnings(root: &Path, shared: bool) -> Vec<Warning> {
    let place = Place::new(root.to_owned());
    let folders = [place.root().to_owned(), place.outbox(), place.inbox(), place.open(), place.taken()];
    let modes: Vec<u32> =
        folders.iter().filter_map(|folder| Some(fs::metadata(folder).ok()?.mode())).collect();
    let allows = |bits: u32| modes.iter().any(|mode| mode & bits != 0);
    // Whoever may not enter the outermost cannot reach what is in it.
    let outermost = fs::metadata(root).map_or(0, |found| found.mode());
    let everybody = (allows(0o007) && outermost & 0o001 != 0) || outermost & 0o007 != 0;
    let group = outermost & 0o070 != 0;
    [
        everybody.then_some(Warning::Everybody),
        (group && !everybody && !shared).then_some(Warning::Group),
        (is_elsewhere(root) && !shared).then_some(Warning::Elsewhere),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Says it in the folder itself, and takes it back once it is mended.
pub(super) fn say(place: &Place, warnings: &[Warning]) -> io::Result<()> {
    let path = place.root().join(WARNING);
    if warnings.is_empty() {
        return place::remove(&path);
    }
    let lines: Vec<String> = warnings
        .iter()
        .flat_map(|warning| {
            let (en, ar) = (warning.text_en(), warning.text_ar());
            [format!("WARNING: {en}"), format!("\u{2067}تنبيه: {ar}\u{2069}"), String::new()]
        })
        .collect();
    let text = place::text(&lines);
    if fs::read(&path).is_ok_and(|there| there == text) {
        Ok(())
    } else {
        place::write(place.root(), WARNING, &text)
    }
}

/// Whether a folder lies on another machine, by its file system: NFS, SMB, CIFS, 9p, AFS, Ceph, and what runs as a
/// program (sshfs, clouds).
#[cfg(target_os = "linux")]
fn is_elsewhere(root: &Path) -> bool {
    const OF_OTHERS: [u32; 8] =
        [0x6969, 0x517b, 0xff53_4d42, 0xfe53_4d42, 0x0102_1997, 0x5346_414f, 0x00c3_6400, 0x6573_5546];
    #[allow(clippy::useless_conversion, reason = "not every system's number is an i64")]
    let number = rustix::fs::statfs(root).ok().and_then(|found| i64::try_from(found.f_type).ok());
    // Where the system's number is signed and short, it is the same bits.
    number.is_some_and(|number| OF_OTHERS.iter().any(|other| i64::from(*other) == number & 0xffff_ffff))
}

#[cfg(not(target_os = "linux"))]
fn is_elsewhere(_: &Path) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn whoever_else_can_read_it_is_told_in_the_folder_itself() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("exchange");
        let place = Place::new(root.clone());
        place::make(&place).unwrap();
        for (mode, shared, expected) in [
            (0o700, false, vec![]),
            (0o750, false, vec![Warning::Group]),
            (0o2770, false, vec![Warning::Group]),
            (0o2770, true, vec![]),
            (0o755, false, vec![Warning::Everybody]),
            (0o701, true, vec![Warning::Everybody]),
        ] {
            fs::set_permissions(&root, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(warnings(&root, shared), expected, "{mode:o} {shared}");
            say(&place, &expected).unwrap();
            assert_eq!(root.join(WARNING).exists(), !expected.is_empty(), "{mode:o}");
        }
    }

    #[test]
    fn every_warning_has_both_languages() {
        for warning in Warning::ALL {
            assert!(warning.text_en().is_ascii());
            assert!(warning.text_ar().chars().any(|c| ('\u{620}'..='\u{64a}').contains(&c)));
        }
    }
}
