//! The folder of a sandbox: where everything lies, and at which ports. Not here: what is put there (`founding`).

use std::{
    fs, io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{Member, SandboxFault};

/// Says that a folder is a sandbox's. Where it is not, nothing is touched.
const MARKER: &str = "sandbox.toml";
const AHEAD: &str = "clock-ahead-ms";
const HEAD: &str = "# The folder of an `agent sandbox`: an invented network, for trying things out. Nothing in it is of a real\n\
                    # agency, and nothing in it is of use to one. End the sandbox and delete the folder when you are done.\n";
/// Ports below those that systems use by themselves.
const PORT_FIRST: u16 = 10_000;
const PORT_COUNT: u32 = 20_000;

/// Where everything listens: kept, so that a sandbox is found again where it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Addresses {
    /// Whether the network was founded whole.
    pub founded: bool,
    /// The gateway.
    pub gateway: SocketAddr,
    /// Where agencies join it.
    pub enrolment: SocketAddr,
    /// Its metrics.
    pub metrics: SocketAddr,
    /// The line between the own agency's agent and the gateway, on which faults are made.
    pub line: SocketAddr,
    /// The own agency's local API.
    pub local_api: SocketAddr,
}

/// A sandbox's folder.
#[derive(Debug, Clone)]
pub struct Ground(PathBuf);

impl Ground {
    /// A folder that is there, or a new one. One that holds anything else is refused, and stays as it is.
    ///
    /// # Errors
    /// [`SandboxFault::NoSandbox`], or the operating system's.
    pub fn open(root: &Path, local_api: Option<SocketAddr>) -> Result<(Self, Addresses), SandboxFault> {
        let ground = Self::at(root)?;
        let addresses = match fs::read_to_string(ground.path(MARKER)) {
            Ok(text) => toml::from_str(&text).map_err(|_| SandboxFault::NoSandbox(ground.0.clone()))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if fs::read_dir(&ground.0)?.next().is_some() {
                    return Err(SandboxFault::NoSandbox(ground.0));
                }
                let addresses = Addresses::free(local_api)?;
                ground.write(&addresses)?;
                addresses
            }
            Err(error) => return Err(error.into()),
        };
        // Only a marker of ours comes so far: what was half founded is made anew.
        if !addresses.founded {
            for path in [ground.hub()].into_iter().chain(Member::ALL.map(|member| ground.member(member))) {
                if path.exists() {
                    fs::remove_dir_all(path)?;
                }
            }
        }
        fs::create_dir_all(ground.path("logs"))?;
        Ok((ground, addresses))
    }

    /// The folder of a sandbox that should be there.
    ///
    /// # Errors
    /// [`SandboxFault::NoSandbox`].
    pub fn of(root: &Path) -> Result<Self, SandboxFault> {
        let ground = Self(root.to_owned());
        if ground.path(MARKER).is_file() { Ok(ground) } else { Err(SandboxFault::NoSandbox(ground.0)) }
    }

    fn at(root: &Path) -> io::Result<Self> {
        if !root.exists() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(root)?;
        }
        Ok(Self(root.canonicalize()?))
    }

    /// Writes down where everything is.
    ///
    /// # Errors
    /// The operating system's.
    pub fn write(&self, addresses: &Addresses) -> io::Result<()> {
        let text = toml::to_string(addresses).map_err(io::Error::other)?;
        self.put(MARKER, &format!("{HEAD}{text}"))
    }

    /// How far the clock was ahead last.
    #[must_use]
    pub fn ahead_ms(&self) -> u64 {
        fs::read_to_string(self.path(AHEAD)).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
    }

    /// Writes down how far it is ahead.
    ///
    /// # Errors
    /// The operating system's.
    pub fn keep_ahead(&self, ahead_ms: u64) -> io::Result<()> {
        self.put(AHEAD, &format!("{ahead_ms}\n"))
    }

    /// Puts a file in place whole.
    ///
    /// # Errors
    /// The operating system's.
    pub fn put(&self, name: &str, text: &str) -> io::Result<()> {
        let (path, half) = (self.path(name), self.path(&format!("{name}.tmp")));
        fs::write(&half, text)?;
        fs::rename(half, path)
    }

    /// A path in it.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The folder itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.0
    }

    /// The gateway's folder.
    #[must_use]
    pub fn hub(&self) -> PathBuf {
        self.path("hub")
    }

    /// An agency's agent's folder.
    #[must_use]
    pub fn member(&self, member: Member) -> PathBuf {
        self.path(member.folder())
    }

    /// Where orders are taken.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.path("sandbox.sock")
    }
}

impl Addresses {
    fn free(local_api: Option<SocketAddr>) -> io::Result<Self> {
        let mut number = std::process::id().wrapping_mul(61);
        let mut free = || {
            for _ in 0..PORT_COUNT {
                number = number.wrapping_add(1);
                let port = PORT_FIRST + u16::try_from(number % PORT_COUNT).unwrap_or(0);
                let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
                if TcpListener::bind(address).is_ok() {
                    return Ok(address);
                }
            }
            Err(io::Error::from(io::ErrorKind::AddrInUse))
        };
        let (gateway, enrolment, metrics, line) = (free()?, free()?, free()?, free()?);
        let local_api = local_api.map_or_else(&mut free, Ok)?;
        Ok(Self { founded: false, gateway, enrolment, metrics, line, local_api })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_anything_else_is_refused_and_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("agent.toml");
        fs::write(&file, "agency = \"ae.dfwac\"").unwrap();
        assert!(matches!(Ground::open(folder.path(), None), Err(SandboxFault::NoSandbox(_))));
        assert!(matches!(Ground::of(folder.path()), Err(SandboxFault::NoSandbox(_))));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        fs::write(folder.path().join(MARKER), "agency = \"ae.dfwac\"").unwrap();
        assert!(matches!(Ground::open(folder.path(), None), Err(SandboxFault::NoSandbox(_))));
    }

    #[test]
    fn it_is_found_again_where_it_was_and_what_was_half_founded_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("sandbox");
        let (ground, mut addresses) = Ground::open(&root, None).unwrap();
        fs::create_dir(ground.hub()).unwrap();
        let (ground, again) = Ground::open(&root, None).unwrap();
        assert_eq!(again, addresses);
        assert!(!ground.hub().exists());
        addresses.founded = true;
        ground.write(&addresses).unwrap();
        fs::create_dir(ground.hub()).unwrap();
        ground.keep_ahead(7).unwrap();
        let (ground, again) = Ground::open(&root, None).unwrap();
        assert!(again.founded && ground.hub().exists());
        assert_eq!(ground.ahead_ms(), 7);
    }
}
