//! The contract in Rust: messages, clients and servers, generated from `proto/parlance/v1`.
//!
//! Nothing here is written by hand, and nothing of ours is used, so any Rust client can depend on this crate alone.
//!
//! To add something: write it into the `.proto` file of its service or resource, with a comment that `describe`
//! can show to a stranger. A new file is found by itself.

/// Version 1 of the contract: messages, one `*_client` and one `*_server` module per service.
#[expect(
    clippy::allow_attributes,
    clippy::pedantic,
    reason = "generated code has a style of its own"
)]
pub mod v1 {
    tonic::include_proto!("parlance.v1");
}

/// The contract as an encoded `google.protobuf.FileDescriptorSet`, with imports and comments: what reflection serves.
pub const FILE_DESCRIPTOR_SET: &[u8] = tonic::include_file_descriptor_set!("parlance_descriptor");
