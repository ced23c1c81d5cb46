//! The API contract in Rust: messages, clients and servers, generated from `proto/parlance/v1`.
//!
//! The code is generated and depends on no other crate of this workspace, so any Rust client can use this crate alone.
//!
//! To add an element: declare it in the `.proto` file of its service or resource, with a comment that serves as
//! reference documentation (`grpcurl describe` shows it). New files are found automatically.

/// Version 1 of the contract: messages, and one `*_client` and one `*_server` module per service.
#[expect(
    clippy::allow_attributes,
    clippy::pedantic,
    reason = "generated code has a style of its own"
)]
pub mod v1 {
    tonic::include_proto!("parlance.v1");
}

/// The contract as an encoded `google.protobuf.FileDescriptorSet` with imports and comments, as served by reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = tonic::include_file_descriptor_set!("parlance_descriptor");
