//! How large a row may be. A row that breaks a bound is refused as a whole; nothing is cut silently.

use base::{ConversationEntry, Pii};

use crate::{Cdr, ConferenceRecord, RegistrationRow, StoreError, UserProfileRow};

/// Opaque XML of clients, bytes.
const DATA_MAX: usize = 64 * 1024;
/// Subject and description, bytes.
const TEXT_MAX: usize = 16 * 1024;
/// Users on a conference's list.
const INVITED_MAX: usize = 10_000;
/// PINs, bytes.
const PIN_MAX: usize = 64;
/// Segment ids, bytes.
const SEGMENT_ID_MAX: usize = 128;
/// Every other text of a call detail record, bytes.
pub const CDR_TEXT_MAX: usize = 1024;

/// Every text of a registered device, bytes.
const REGISTRATION_TEXT_MAX: usize = 8 * 1024;

/// A user's settings as JSON, bytes.
const PROFILE_MAX: usize = 64 * 1024;

/// Checks a conference against the bounds.
pub(crate) fn check_conference(record: &ConferenceRecord) -> Result<(), StoreError> {
    check(record.subject.len() <= TEXT_MAX, "a subject has at most 16 KiB")?;
    check(record.description.len() <= TEXT_MAX, "a description has at most 16 KiB")?;
    check(record.organizer_data.len() <= DATA_MAX, "organizer data have at most 64 KiB")?;
    check(record.notification_data.len() <= DATA_MAX, "notification data have at most 64 KiB")?;
    check(record.invited.len() <= INVITED_MAX, "at most 10,000 users are invited to a conference")?;
    check(record.pin.as_ref().is_none_or(|pin| pin.expose().len() <= PIN_MAX), "a PIN has at most 64 characters")
}

/// Checks a call detail record against the bounds and its times against each other.
pub(crate) fn check_cdr(cdr: &Cdr) -> Result<(), StoreError> {
    check((1..=SEGMENT_ID_MAX).contains(&cdr.segment_id.len()), "a segment id has 1 to 128 characters")?;
    check(cdr.started <= cdr.answered, "a leg is not answered before it began")?;
    check(cdr.answered <= cdr.ended, "a leg does not end before it is answered")?;
    let texts = [
        Some(cdr.sip_call_id.as_str()),
        cdr.dialled.as_ref().map(Pii::expose),
        cdr.number.as_ref().map(Pii::expose),
        cdr.trunk.as_deref(),
        cdr.codec.as_deref(),
        cdr.segment.as_deref(),
        cdr.outcome.as_deref(),
    ];
    let short = texts.into_iter().flatten().all(|text| text.len() <= CDR_TEXT_MAX);
    check(short, "a text of a call detail record has at most 1 KiB")
}

/// Checks a line of a call history against the bounds and its times against each other.
pub(crate) fn check_conversation(entry: &ConversationEntry) -> Result<(), StoreError> {
    check(entry.started <= entry.ended, "a call does not end before it began")?;
    let name = entry.peer_name.as_ref().map_or(0, String::len);
    check(name <= CDR_TEXT_MAX, "the name of a caller has at most 1 KiB")?;
    check(entry.sip_call_id.as_ref().map_or(0, String::len) <= CDR_TEXT_MAX, "a Call-ID has at most 1 KiB")
}

/// Whether a device's texts are within the bounds.
pub(crate) fn is_registration_short(row: &RegistrationRow) -> bool {
    let texts = [&row.contact, &row.path, &row.call_id, row.instance.as_ref().unwrap_or(&row.transport)];
    texts.iter().all(|text| text.len() <= REGISTRATION_TEXT_MAX)
}

/// Checks settings against the bounds.
pub(crate) fn check_user_profile(row: &UserProfileRow) -> Result<(), StoreError> {
    check(row.profile.len().max(row.configured.len()) <= PROFILE_MAX, "a user's settings have at most 64 KiB")
}

fn check(holds: bool, rule: &'static str) -> Result<(), StoreError> {
    if holds { Ok(()) } else { Err(StoreError::Invalid(rule)) }
}
