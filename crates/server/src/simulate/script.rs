//! Script of faults from a file: JSON in the form of `SetScriptRequest`.

use parlance_app::simulator::Script;
use parlance_proto::v1;
use prost_reflect::{DescriptorPool, DeserializeOptions, DynamicMessage};

use crate::convert;

const KIND: &str = "parlance.v1.SetScriptRequest";

/// Parses a script.
pub(super) fn parse(json: &str) -> Result<Script, String> {
    let pool = DescriptorPool::decode(parlance_proto::FILE_DESCRIPTOR_SET);
    let pool = pool.map_err(|error| error.to_string())?;
    let kind = pool.get_message_by_name(KIND);
    let kind = kind.ok_or_else(|| format!("{KIND} is missing from the contract"))?;
    let mut json = serde_json::Deserializer::from_str(json);
    let options = DeserializeOptions::new().deny_unknown_fields(true);
    let message = DynamicMessage::deserialize_with_options(kind, &mut json, &options)
        .and_then(|message| json.end().map(|()| message))
        .map_err(|error| error.to_string())?;
    let request: v1::SetScriptRequest =
        message.transcode_to().map_err(|error| error.to_string())?;
    convert::simulator::script(request).map_err(|error| error.message.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_json_in_the_form_of_the_request() {
        let script = parse(
            r#"{"seed": 7, "faults": [{"kind": "FAULT_KIND_DROP", "probability": 0.5},
                {"kind": "FAULT_KIND_TOO_MANY_REQUESTS", "delay": "2.5s", "count": 3}]}"#,
        )
        .unwrap();
        assert_eq!((script.seed, script.faults.len()), (7, 2));
        assert_eq!(script.faults[1].count, Some(3));
    }

    #[test]
    fn errors_name_the_field() {
        for (json, expected) in [
            ("{", "EOF"),
            (r#"{"fault": []}"#, "fault"),
            (r#"{"faults": [{}]}"#, "faults[0].kind"),
            ("{} {}", "trailing"),
        ] {
            let error = parse(json).unwrap_err();
            assert!(error.contains(expected), "{json}: {error}");
        }
    }
}
