//! `quittance backup`: a whole copy of the database in one file.

use super::{CliError, args::BackupArgs, report::Report};
use serde_json::json;

/// Copies the database.
pub async fn run(args: &BackupArgs) -> Result<Report, CliError> {
    let services = args.database.open(false).await?;
    let made = services.store.backup(&args.file).await;
    services.store.close().await;
    let made = made?;
    let (file, key) = (args.file.display(), made.key_file.display());
    let text = format!(
        "{file}: {} notifications, {} bytes.\nThe secrets in it open with {key} only; keep a copy of that apart from this one.\n\
         To go back to it, stop the server and put both in their places: the file as the database, with no others of its name beside it.\n",
        made.notifications, made.bytes
    );
    let json = json!({
        "file": args.file, "notifications": made.notifications, "bytes": made.bytes, "key_file": made.key_file,
    });
    Ok(Report { json, text, failed: None })
}
