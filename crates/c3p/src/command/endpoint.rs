//! Commands about one endpoint of a user (c3p.md 2.8, all \[M\]).

use super::{EndpointKeys, MediaKeys, read_mcu_uri};
use crate::conference_info::Media;
use crate::error::BadElement;
use crate::wire::name;
use crate::xml::{Element, Writer};

/// `modifyEndpoint`: change an endpoint. What can be changed of one is its streams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModifyEndpoint {
    /// Which endpoint; the entity of the `endpoint` element is the same.
    pub keys: EndpointKeys,
    /// What its streams are to be.
    pub media: Vec<Media>,
    /// The MCU it is at.
    pub mcu_uri: Option<String>,
}

/// `deleteEndpoint`: eject one endpoint, and leave the user's others alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteEndpoint {
    /// Which.
    pub keys: EndpointKeys,
    /// The MCU it is at.
    pub mcu_uri: Option<String>,
}

/// `addEndpointMedia`: add a stream to an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddEndpointMedia {
    /// To which endpoint.
    pub keys: EndpointKeys,
    /// The new stream.
    pub media: Media,
    /// The MCU it is at.
    pub mcu_uri: Option<String>,
}

/// `deleteEndpointMedia`: end a stream of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteEndpointMedia {
    /// Which stream.
    pub keys: MediaKeys,
    /// The MCU that carries it.
    pub mcu_uri: Option<String>,
}

impl ModifyEndpoint {
    pub(super) fn read(element: Element<'_>) -> Result<Self, BadElement> {
        let keys = EndpointKeys::read(element)?;
        let endpoint = element.required(name::ENDPOINT)?;
        if endpoint.required_attribute(name::ENTITY)?.trim() != keys.endpoint {
            return Err(BadElement::new(name::ENTITY, "it differs from the endpointEntity of the keys"));
        }
        let media = endpoint.children_named(name::MEDIA).map(Media::read).collect::<Result<_, _>>()?;
        Ok(Self { keys, media, mcu_uri: read_mcu_uri(element) })
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        self.keys.write(writer);
        writer.element(name::ENDPOINT, |writer| {
            writer.attribute(name::ENTITY, &self.keys.endpoint);
            self.media.iter().for_each(|media| media.write(writer));
        });
    }
}

impl DeleteEndpoint {
    pub(super) fn read(element: Element<'_>) -> Result<Self, BadElement> {
        Ok(Self { keys: EndpointKeys::read(element)?, mcu_uri: read_mcu_uri(element) })
    }
}

impl AddEndpointMedia {
    pub(super) fn read(element: Element<'_>) -> Result<Self, BadElement> {
        let media = Media::read(element.required(name::MEDIA)?)?;
        Ok(Self { keys: EndpointKeys::read(element)?, media, mcu_uri: read_mcu_uri(element) })
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        self.keys.write(writer);
        self.media.write(writer);
    }
}

impl DeleteEndpointMedia {
    pub(super) fn read(element: Element<'_>) -> Result<Self, BadElement> {
        Ok(Self { keys: MediaKeys::read(element)?, mcu_uri: read_mcu_uri(element) })
    }
}
