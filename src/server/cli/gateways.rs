//! `quittance gateway …`

use super::{
    CliError,
    gateway_args::GatewayListArgs,
    report::{Report, table},
};
use serde_json::json;

/// Lists gateways.
pub fn list(args: &GatewayListArgs) -> Result<Report, CliError> {
    let gateways = args.gateways.read()?;
    let (mut json, mut rows) = (Vec::new(), Vec::new());
    for preset in gateways.all() {
        let options: Vec<_> = preset.options.iter().map(|option| option.name.as_str()).collect();
        let required: Vec<_> =
            preset.options.iter().filter(|option| option.required).map(|option| option.name.as_str()).collect();
        json.push(json!({
            "gateway": preset.id, "label": preset.label, "group": preset.group, "secret": preset.secret.label,
            "options": options, "required": required,
        }));
        let secret = preset.secret.label.clone();
        rows.push([preset.id.to_string(), preset.label.clone(), preset.group.clone(), secret, options.join(", ")]);
    }
    let text = table(["KIND", "GATEWAY", "GROUP", "SECRET", "OPTIONS"], &rows);
    Ok(Report { json: json!({ "gateways": json }), text, failed: None })
}
