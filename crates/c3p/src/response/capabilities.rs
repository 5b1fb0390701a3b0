//! The answer to `getConferencingCapabilities`.

use crate::McuType;
use crate::error::BadElement;
use crate::wire::name;
use crate::xml::{Element, Writer};

/// What a Factory can do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// The kinds of MCU it has; kinds this crate does not know are skipped.
    pub mcu_types: Vec<McuType>,
    /// The numbers to dial, by region.
    pub regions: Vec<AccessRegion>,
    /// The region of who does not choose.
    pub default_region: Option<String>,
}

/// The numbers to dial in one region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessRegion {
    /// Its name.
    pub name: String,
    /// The numbers.
    pub numbers: Vec<String>,
}

impl Capabilities {
    pub(super) fn read(element: Element<'_>) -> Result<Self, BadElement> {
        let mcu_types = match element.optional(name::MCU_TYPES)? {
            Some(list) => {
                list.children_named(name::MCU_TYPE).filter_map(|entry| McuType::from_token(entry.trimmed())).collect()
            }
            None => Vec::new(),
        };
        let mut capabilities = Self { mcu_types, ..Self::default() };
        let Some(bridging) = element.optional(name::PSTN_BRIDGING)? else { return Ok(capabilities) };
        let Some(access) = bridging.optional(name::ACCESS_NUMBERS)? else { return Ok(capabilities) };
        capabilities.regions = access.children_named(name::REGION).map(AccessRegion::read).collect::<Result<_, _>>()?;
        capabilities.default_region = access.trimmed_of(name::DEFAULT_REGION)?;
        Ok(capabilities)
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        writer.element(name::MCU_TYPES, |writer| {
            for mcu in &self.mcu_types {
                writer.leaf(name::MCU_TYPE, mcu.as_str());
            }
        });
        if self.regions.is_empty() && self.default_region.is_none() {
            return;
        }
        writer.element(name::PSTN_BRIDGING, |writer| {
            writer.element(name::ACCESS_NUMBERS, |writer| {
                self.regions.iter().for_each(|region| region.write(writer));
                writer.optional_leaf(name::DEFAULT_REGION, self.default_region.as_deref());
            });
        });
    }
}

impl AccessRegion {
    fn read(element: Element<'_>) -> Result<Self, BadElement> {
        Ok(Self {
            name: element.required_attribute(name::REGION_NAME)?.to_owned(),
            numbers: element
                .children_named(name::ACCESS_NUMBER)
                .map(|number| Ok(number.required(name::NUMBER)?.trimmed().to_owned()))
                .collect::<Result<_, _>>()?,
        })
    }

    fn write(&self, writer: &mut Writer) {
        writer.element(name::REGION, |writer| {
            writer.attribute(name::REGION_NAME, &self.name);
            for number in &self.numbers {
                writer.element(name::ACCESS_NUMBER, |writer| writer.leaf(name::NUMBER, number));
            }
        });
    }
}
