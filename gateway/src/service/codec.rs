//! How messages become bytes and bytes messages. Bytes that are no message are refused as everything
//! else is: with a stable code, and to be recorded. Not here: what messages mean, and their frames
//! (`intake`).

use std::{any::type_name, marker::PhantomData};

use bytes::Buf as _;
use prost::Message;
use proto::{Malformed, digest::Digest};
use tonic::{
    Status,
    codec::{BufferSettings, Codec, DecodeBuf, Decoder},
};
use tonic_prost::{ProstCodec, ProstEncoder};

use super::answers;

/// How much room a stream begins with, each way: most streams are those of agents that wait. It grows with what
/// comes.
const BUFFER_BYTES: usize = 512;
/// As much as is collected before it is sent.
const SENT_TOGETHER_BYTES: usize = 32 * 1024;

fn buffers() -> BufferSettings {
    BufferSettings::new(BUFFER_BYTES, SENT_TOGETHER_BYTES)
}

/// Protobuf both ways, with typed refusals.
#[derive(Debug, Clone)]
pub struct TypedCodec<T, U>(PhantomData<(T, U)>);

/// Reads messages.
#[derive(Debug, Clone)]
pub struct TypedDecoder<U>(PhantomData<U>);

impl<T, U> Default for TypedCodec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T: Message + Send + 'static, U: Message + Default + Send + 'static> Codec for TypedCodec<T, U> {
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = TypedDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<T, U>::raw_encoder(buffers())
    }

    fn decoder(&mut self) -> Self::Decoder {
        TypedDecoder(PhantomData)
    }
}

impl<U: Message + Default> Decoder for TypedDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        let bytes = buffer.copy_to_bytes(buffer.remaining());
        // Parts become slices of the same bytes, so keeping them costs nothing.
        U::decode(bytes.clone()).map(Some).map_err(|_| {
            let malformed = Malformed::Protobuf { message: name::<U>() };
            answers::malformed_status(malformed, Some(Digest::of(&bytes)))
        })
    }

    fn buffer_settings(&self) -> BufferSettings {
        buffers()
    }
}

/// A message's name, as its definition gives it.
fn name<U>() -> &'static str {
    type_name::<U>().rsplit("::").next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proto::wire;

    use super::*;

    #[test]
    fn messages_are_named_as_they_are_defined() {
        assert_eq!(name::<wire::PushRequest>(), "PushRequest");
    }
}
