//! Unpredictable bits from the operating system.

use rand::TryRngCore;
use rand::rngs::OsRng;

/// A fresh seed for the engine's tags, keys and ids.
pub(crate) fn fresh() -> Result<[u8; 32], String> {
    let mut seed = [0; 32];
    OsRng.try_fill_bytes(&mut seed).map_err(|error| format!("the operating system gives no random bits: {error}"))?;
    Ok(seed)
}
