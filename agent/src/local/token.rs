//! What calls over TCP carry, since there everybody on the machine can connect: a token that the agent makes and
//! keeps in a file for its owner only. Not here: the socket, which the file system guards.

use std::fmt;

use proto::digest::Digest;
use subtle::ConstantTimeEq as _;
use tonic::{Request, Status};
use zeroize::Zeroizing;

use crate::{
    folder::{Folder, FolderFault, Name},
    keys::KeysFault,
};

/// The token's random bytes; it is written in hex.
pub const TOKEN_BYTES: usize = 32;
/// Where it stands in a call.
const HEADER: &str = "authorization";
const SCHEME: &str = "Bearer ";

/// The digest of the token: what is compared has always the same length.
#[derive(Clone)]
pub struct Token(Digest);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(secret)")
    }
}

impl Token {
    /// The token of a folder; made when there is none.
    ///
    /// # Errors
    /// [`KeysFault`].
    pub fn of(folder: &Folder) -> Result<Self, KeysFault> {
        let text = match folder.read(Name::LocalToken) {
            Ok(text) => Zeroizing::new(text),
            Err(FolderFault::Missing(_)) => make(folder)?,
            Err(fault) => return Err(fault.into()),
        };
        let text = std::str::from_utf8(&text).map_err(|_| KeysFault::NotAKey(Name::LocalToken))?.trim_end();
        let is_token = text.len() == 2 * TOKEN_BYTES && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_token {
            Ok(Self(Digest::of(text.as_bytes())))
        } else {
            Err(KeysFault::NotAKey(Name::LocalToken))
        }
    }

    /// Lets a call through that carries it.
    pub(super) fn check(&self, request: Request<()>) -> Result<Request<()>, Status> {
        let given = request.metadata().get(HEADER).and_then(|value| value.to_str().ok());
        let given = given.and_then(|value| value.strip_prefix(SCHEME)).unwrap_or_default();
        if bool::from(Digest::of(given.as_bytes()).0.ct_eq(&self.0.0)) {
            return Ok(request);
        }
        Err(Status::unauthenticated(
            "every call must carry `authorization: Bearer TOKEN` with the token of keys/local.token / يجب أن يحمل كل \
             طلب رمز الدخول",
        ))
    }
}

fn make(folder: &Folder) -> Result<Zeroizing<Vec<u8>>, KeysFault> {
    let mut bytes = Zeroizing::new([0; TOKEN_BYTES]);
    getrandom::fill(bytes.as_mut_slice()).map_err(|_| KeysFault::NotMade)?;
    let text: Zeroizing<String> = Zeroizing::new(bytes.iter().map(|byte| format!("{byte:02x}")).collect());
    let text = Zeroizing::new([text.as_bytes(), b"\n"].concat());
    folder.write(Name::LocalToken, &text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_of_the_folder_lets_a_call_through() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::create(&place.path().join("agent")).unwrap();
        let token = Token::of(&folder).unwrap();
        let text = String::from_utf8(folder.read(Name::LocalToken).unwrap()).unwrap();
        let call = |value: Option<String>| {
            let mut request = Request::new(());
            if let Some(value) = value {
                request.metadata_mut().insert(HEADER, value.parse().unwrap());
            }
            Token::of(&folder).unwrap().check(request).is_ok()
        };
        let text = text.trim_end();
        assert!(call(Some(format!("Bearer {text}"))));
        for other in [None, Some(String::new()), Some(text.to_owned()), Some(format!("Bearer {text}0"))] {
            assert!(!call(other));
        }
        assert!(!call(Some(format!("Bearer {}", &text[1..]))));
        assert!(!call(Some(format!("Bearer {}", text.replace(&text[..1], "g")))));
        assert_eq!(format!("{token:?}"), "Token(secret)");
        folder.write(Name::LocalToken, b"short").unwrap();
        assert!(matches!(Token::of(&folder), Err(KeysFault::NotAKey(Name::LocalToken))));
    }
}
