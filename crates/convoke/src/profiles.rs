//! Users' call-routing settings between configuration, database and engine: whoever changed them last counts.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::UserUri;
use engine::{Directory, dropped_keys};
use routing::{ProfileProblem, UserProfile};
use serde_json::Value;
use store::{Store, StoreError, UserProfileRow};
use tokio::sync::{Mutex, mpsc, oneshot};

use crate::config::Config;
use crate::http::version::{Condition, Outdated};
use crate::pump::Question;

/// What users changed at run time. A change is forgotten when the configuration says something else than it did then, for
/// it was changed last; and when the user is no longer there.
pub(crate) async fn load(store: &Store, config: &Config) -> Result<Vec<(UserUri, UserProfile)>, StoreError> {
    let configured = configured(config);
    let mut changed = Vec::new();
    for row in store.user_profiles().await? {
        let is_latest = configured.get(&row.user).is_some_and(|profile| json(profile) == row.configured);
        match serde_json::from_str(&row.profile) {
            Ok(profile) if is_latest => changed.push((row.user, profile)),
            _ => {
                let is_there = configured.contains_key(&row.user);
                let remedy = match is_there {
                    true => {
                        "the configuration file says something else since; write it there, or make it again over HTTP"
                    }
                    false => "the user is not in the configuration file any more",
                };
                for key in dropped(&row, configured.get(&row.user)) {
                    tracing::warn!(user = %row.user, key, "a change of call-routing settings at run time is dropped, for {remedy}");
                }
                store.delete_user_profile(&row.user).await?;
            }
        }
    }
    Ok(changed)
}

/// The keys a user had changed and loses; their values are nobody's business.
fn dropped(row: &UserProfileRow, configured: Option<&UserProfile>) -> Vec<String> {
    let value = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
    dropped_keys(&value(&row.configured), &value(&row.profile), &configured)
}

/// Gives users the settings they had changed, as far as these still make sense: an account may be gone that they name.
pub(crate) fn apply(changed: Vec<(UserUri, UserProfile)>, directory: &mut Directory) {
    for (user, profile) in changed {
        for problem in directory.profile_problems(&user, &profile) {
            tracing::warn!(%user, key = problem.key, why = problem.why, "call-routing settings need a change");
        }
        directory.set_user_profile(user, profile);
    }
}

fn configured(config: &Config) -> BTreeMap<UserUri, UserProfile> {
    config.users.iter().map(|user| (user.uri.clone(), user.routing.clone())).collect()
}

fn json(profile: &UserProfile) -> String {
    serde_json::to_string(profile).expect("settings have a JSON form")
}

/// Why a change was not made.
#[derive(Debug)]
pub(crate) enum Refused {
    /// There is no such user.
    NoSuchUser,
    /// The settings are wrong; at least one problem is an error.
    Problems(Vec<ProfileProblem>),
    /// They are not what whoever asked has seen.
    Outdated(Outdated),
    /// They could not be stored.
    Store(StoreError),
    /// The engine does not answer.
    Busy,
}

/// Reads and changes users' settings and histories at run time.
#[derive(Clone)]
pub(crate) struct Users {
    /// The histories.
    pub(crate) store: Store,
    questions: mpsc::Sender<Question>,
    configured: Arc<BTreeMap<UserUri, UserProfile>>,
    /// One change at a time, so that database and engine have the same last one.
    changing: Arc<Mutex<()>>,
}

impl Users {
    /// Access to the users of this configuration.
    pub(crate) fn new(store: Store, questions: mpsc::Sender<Question>, config: &Config) -> Self {
        Self { store, questions, configured: Arc::new(configured(config)), changing: Arc::default() }
    }

    /// A user by his URI, with or without `sip:`, or by its user part alone.
    pub(crate) fn find(&self, text: &str) -> Option<UserUri> {
        let by_uri = |uri: &str| UserUri::parse(uri).ok().filter(|user| self.configured.contains_key(user));
        let by_address = by_uri(text).or_else(|| by_uri(&format!("sip:{text}")));
        by_address.or_else(|| self.configured.keys().find(|user| user.user_part() == text).cloned())
    }

    /// A user's settings.
    pub(crate) async fn profile(&self, user: &UserUri) -> Result<UserProfile, Refused> {
        let (reply, answer) = oneshot::channel();
        self.ask(Question::Profile(user.clone(), reply))?;
        answer.await.map_err(|_| Refused::Busy)?.ok_or(Refused::NoSuchUser)
    }

    /// Changes a user's settings: checked, then on the disk, then in force. Returns the warnings.
    pub(crate) async fn change(
        &self,
        user: &UserUri,
        profile: UserProfile,
        condition: &Condition,
    ) -> Result<Vec<ProfileProblem>, Refused> {
        let _one_at_a_time = self.changing.lock().await;
        self.check(user, condition).await?;
        let configured = self.configured.get(user).ok_or(Refused::NoSuchUser)?;
        let (reply, answer) = oneshot::channel();
        self.ask(Question::CheckProfile(user.clone(), Box::new(profile.clone()), reply))?;
        let problems = answer.await.map_err(|_| Refused::Busy)?;
        if problems.iter().any(|problem| problem.is_error) {
            return Err(Refused::Problems(problems));
        }
        let row = UserProfileRow { user: user.clone(), profile: json(&profile), configured: json(configured) };
        self.store.save_user_profile(&row).await.map_err(Refused::Store)?;
        self.tell(Question::SetProfile(user.clone(), Box::new(profile))).await?;
        Ok(problems)
    }

    /// Gives a user the settings of the configuration back.
    pub(crate) async fn reset(&self, user: &UserUri, condition: &Condition) -> Result<(), Refused> {
        let _one_at_a_time = self.changing.lock().await;
        self.check(user, condition).await?;
        let configured = self.configured.get(user).ok_or(Refused::NoSuchUser)?.clone();
        self.store.delete_user_profile(user).await.map_err(Refused::Store)?;
        self.tell(Question::SetProfile(user.clone(), Box::new(configured))).await
    }

    /// Whether what he has now is what whoever asks for a change wants to change. Who has nothing but the defaults has nothing
    /// yet.
    async fn check(&self, user: &UserUri, condition: &Condition) -> Result<(), Refused> {
        if condition.is_none() {
            return Ok(());
        }
        let profile = self.profile(user).await?;
        let is_there = profile != UserProfile::default();
        condition.objection(&profile, is_there).map_or(Ok(()), |outdated| Err(Refused::Outdated(outdated)))
    }

    /// A user has seen his missed calls.
    pub(crate) async fn missed_calls_seen(&self, user: &UserUri) -> Result<(), Refused> {
        self.store.mark_missed_calls_seen(user).await.map_err(Refused::Store)?;
        self.tell(Question::MissedCallsSeen(user.clone())).await
    }

    fn ask(&self, question: Question) -> Result<(), Refused> {
        self.questions.try_send(question).map_err(|_| Refused::Busy)
    }

    /// What is stored must come into force, so this one waits for room.
    async fn tell(&self, question: Question) -> Result<(), Refused> {
        self.questions.send(question).await.map_err(|_| Refused::Busy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    fn config(settings: &str) -> Config {
        let text = format!(
            "[[user]]\nuri = \"sip:bob@localhost\"\npassword = \"12345678\"\n[user.routing]\n{settings}\n\
             [[user]]\nuri = \"sip:cleo@localhost\"\npassword = \"12345678\"\n"
        );
        config::parse(&text).expect("valid")
    }

    async fn store_in(folder: &tempfile::TempDir) -> Store {
        Store::open(folder.path().join("convoke.db").to_str().expect("text")).await.expect("opened")
    }

    #[tokio::test]
    async fn a_change_lasts_until_the_configuration_changes() {
        let folder = tempfile::tempdir().expect("folder");
        let store = store_in(&folder).await;
        let bob = UserUri::parse("sip:bob@localhost").expect("valid");
        let changed = UserProfile { ring_seconds: 9, ..UserProfile::default() };
        let configured = config("ring_seconds = 20").users[0].routing.clone();
        let row = UserProfileRow { user: bob.clone(), profile: json(&changed), configured: json(&configured) };
        store.save_user_profile(&row).await.expect("saved");
        let same = load(&store, &config("ring_seconds = 20")).await.expect("read");
        assert_eq!(same, [(bob, changed)]);
        assert_eq!(load(&store, &config("ring_seconds = 21")).await.expect("read"), []);
        let again = load(&store, &config("ring_seconds = 20")).await.expect("read");
        assert_eq!(again, [], "what was overruled does not come back");
    }

    #[test]
    fn each_key_that_is_overruled_is_named() {
        let of = |settings: &str| config(settings).users[0].routing.clone();
        let then = of("ring_seconds = 20\nforward_busy = \"sip:cleo@localhost\"");
        let changed = of("ring_seconds = 9\nforward_busy = \"sip:cleo@localhost\"\ndo_not_disturb = true");
        let user = UserUri::parse("sip:bob@localhost").expect("valid");
        let row = UserProfileRow { user, profile: json(&changed), configured: json(&then) };
        let lost = |file: &str| dropped(&row, Some(&of(file)));
        assert_eq!(lost("ring_seconds = 20"), ["do_not_disturb", "ring_seconds"], "forward_busy is the file's own");
        assert_eq!(lost("ring_seconds = 9"), ["do_not_disturb"], "the file says the same as he");
        assert_eq!(dropped(&row, None), ["do_not_disturb", "ring_seconds"], "he is gone");
    }

    #[tokio::test]
    async fn a_change_of_somebody_who_is_gone_goes_too() {
        let folder = tempfile::tempdir().expect("folder");
        let store = store_in(&folder).await;
        let row = UserProfileRow {
            user: UserUri::parse("sip:eve@localhost").expect("valid"),
            profile: "{}".to_owned(),
            configured: json(&UserProfile::default()),
        };
        store.save_user_profile(&row).await.expect("saved");
        assert_eq!(load(&store, &config("")).await.expect("read"), []);
        assert_eq!(store.user_profiles().await.expect("read"), []);
    }
}
