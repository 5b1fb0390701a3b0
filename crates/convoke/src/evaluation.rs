//! What a server without a configuration offers to try: two accounts and a conference, with secrets drawn afresh at
//! each start, because there are no default passwords.

use rand::{Rng, SeedableRng, rngs::StdRng};

use crate::config::{self, Config};
use crate::seed;

/// Characters of a password that is read from a screen and typed into a phone.
const ALPHABET: &[u8] = b"abcdefghjkmnpqrstuvwxyz23456789";

/// Accounts of an evaluation.
const USERS: [&str; 2] = ["ada", "ben"];

/// The conference of an evaluation.
const NUMBER: &str = "1000";

/// Adds the accounts and the conference, and says how to use them.
pub(crate) fn add(config: &mut Config) -> Result<String, String> {
    let mut random = StdRng::from_seed(seed::fresh()?);
    let mut password =
        || (0..12).map(|_| char::from(ALPHABET[random.random_range(0..ALPHABET.len())])).collect::<String>();
    let domain = config.domain.clone();
    let mut text = String::new();
    let mut told = String::from("Nothing is configured; for this run there are\n");
    for user in USERS {
        let password = password();
        text.push_str(&format!("[[user]]\nuri = \"sip:{user}@{domain}\"\npassword = \"{password}\"\n"));
        told.push_str(&format!("  account    user {user}, password {password}\n"));
    }
    let pin = StdRng::from_seed(seed::fresh()?).random_range(10_000..100_000);
    text.push_str(&format!(
        "[[conference]]\nnumber = \"{NUMBER}\"\npin = \"{pin}\"\naccess = \"anonymous\"\nsubject = \"Evaluation\"\n"
    ));
    told.push_str(&format!(
        "  conference {NUMBER}: accounts enter at once, others type {pin}# when they are asked for it\n"
    ));
    let evaluation = config::parse(&format!("domain = \"{domain}\"\n{text}")).map_err(|error| error.to_string())?;
    config.users.extend(evaluation.users);
    config.conferences.extend(evaluation.conferences);
    Ok(told)
}
