//! Commands about the record of a conference (c3p.md 2.4).

use super::{ConferenceKeys, read_mcu_uri};
use crate::MediaFilter;
use crate::conference_info::{ConferenceInfo, EntityView};
use crate::error::BadElement;
use crate::wire::name;
use crate::xml::{Element, Writer};

/// `modifyConference`: to the Factory a whole schedule that replaces the old one, to an MCU a partial document with a
/// change of its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModifyConference {
    /// The new schedule, or the change.
    pub info: ConferenceInfo,
    /// The MCU to change. Some clients name it in the entity view alone; see [`ModifyConference::mute_all`].
    pub mcu_uri: Option<String>,
}

/// "Mute all" or "unmute all", out of a `modifyConference`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MuteAll<'a> {
    /// The URI of the MCU.
    pub mcu_uri: &'a str,
    /// `Block` mutes.
    pub ingress: MediaFilter,
}

impl ModifyConference {
    /// Whether and how the command mutes or unmutes everybody at an MCU.
    pub fn mute_all(&self) -> Option<MuteAll<'_>> {
        self.info.view.as_ref()?.entity_views.iter().find_map(|view| {
            let mcu_uri = self.mcu_uri.as_deref().unwrap_or(&view.entity);
            everybodys_ingress(view).map(|ingress| MuteAll { mcu_uri, ingress })
        })
    }

    pub(super) fn read(element: Element<'_>) -> Result<Self, BadElement> {
        Ok(Self {
            info: ConferenceInfo::read(element.required(name::CONFERENCE_INFO)?)?,
            mcu_uri: read_mcu_uri(element),
        })
    }
}

fn everybodys_ingress(view: &EntityView) -> Option<MediaFilter> {
    let filters = &view.entity_state.as_ref()?.initial_filters;
    filters.iter().find(|filter| filter.is_for_everybody()).and_then(|filter| filter.ingress)
}

/// `deleteConference`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteConference {
    /// By id to the Factory: delete the record. By Focus URI to the Focus: end the conference.
    pub keys: ConferenceKeys,
}

impl DeleteConference {
    pub(super) fn read(element: Element<'_>) -> Result<Self, BadElement> {
        Ok(Self { keys: ConferenceKeys::read(element)? })
    }
}

/// `getConference`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GetConference {
    /// Which.
    pub keys: ConferenceKeys,
    /// The client's X.509 certificate in base64, with which secrets of the answer may be encrypted.
    pub certificate: Option<String>,
    /// Of which MCU; absent for the conference itself.
    pub mcu_uri: Option<String>,
}

impl GetConference {
    pub(super) fn read(element: Element<'_>) -> Result<Self, BadElement> {
        Ok(Self {
            keys: ConferenceKeys::read(element)?,
            certificate: read_certificate(element)?,
            mcu_uri: read_mcu_uri(element),
        })
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        self.keys.write(writer);
        write_certificate(writer, self.certificate.as_deref());
    }
}

/// Reads the certificate of an `encryption-key` child, in base64 without white space around it.
pub(crate) fn read_certificate(element: Element<'_>) -> Result<Option<String>, BadElement> {
    match element.optional(name::ENCRYPTION_KEY)? {
        Some(key) => Ok(Some(key.required(name::X509_CERTIFICATE)?.trimmed().to_owned())),
        None => Ok(None),
    }
}

/// Writes an `encryption-key` child, if there is a certificate.
pub(crate) fn write_certificate(writer: &mut Writer, certificate: Option<&str>) {
    if let Some(certificate) = certificate {
        writer.element(name::ENCRYPTION_KEY, |writer| writer.leaf(name::X509_CERTIFICATE, certificate));
    }
}
