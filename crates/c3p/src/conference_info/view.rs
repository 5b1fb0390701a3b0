//! `conference-view`: the state of the focus and of each MCU, and rules for those who come later.

use super::read_state;
use crate::error::BadElement;
use crate::wire::token::{FILTER_ROLE_DEFAULT, parse_bool};
use crate::wire::{Namespace, name};
use crate::xml::{Element, Writer};
use crate::{McuType, MediaFilter, MediaType, State};

/// `conference-view`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConferenceView {
    /// Whether these are all views or those that changed.
    pub state: State,
    /// One for the focus, one for each MCU.
    pub entity_views: Vec<EntityView>,
}

/// `entity-view`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntityView {
    /// The URI of the focus or MCU; in a schedule, the token of a wanted MCU type.
    pub entity: String,
    /// Whether all of it is here or what changed.
    pub state: State,
    /// What is so now.
    pub entity_state: Option<EntityState>,
}

/// `entity-state`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntityState {
    /// Whether it is locked.
    pub locked: Option<bool>,
    /// The streams of the conference at that MCU.
    pub media: Vec<ViewMedia>,
    /// Filters for everybody of a role. Asking for a `block` of the role `default` is "mute all".
    pub initial_filters: Vec<InitialFilter>,
}

/// A stream of the conference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewMedia {
    /// Its name, such as `main-audio`.
    pub label: String,
    /// What it carries.
    pub media_type: MediaType,
}

/// The filter of everybody of a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitialFilter {
    /// The role: `default` stands for everybody without a rule of his own.
    pub role: String,
    /// From the participant into the mix.
    pub ingress: Option<MediaFilter>,
    /// From the mix to the participant.
    pub egress: Option<MediaFilter>,
}

impl ConferenceView {
    /// The MCUs a schedule asks for.
    pub fn wanted(mcus: &[McuType]) -> Self {
        let entity_views = mcus.iter().map(|mcu| EntityView::new(mcu.as_str(), State::Full)).collect();
        Self { state: State::Full, entity_views }
    }

    /// The MCU types named by the views; views of URIs are not among them.
    pub fn mcu_types(&self) -> impl Iterator<Item = McuType> {
        self.entity_views.iter().filter_map(|view| McuType::from_token(&view.entity))
    }

    pub(super) fn read(element: Element<'_>) -> Result<Self, BadElement> {
        Ok(Self {
            state: read_state(element.attribute_or_bare(name::STATE_QUALIFIED))?,
            entity_views: element.children_named(name::ENTITY_VIEW).map(EntityView::read).collect::<Result<_, _>>()?,
        })
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        writer.element(name::CONFERENCE_VIEW, |writer| {
            writer.attribute(name::STATE_QUALIFIED, self.state.as_str());
            for view in &self.entity_views {
                view.write(writer);
            }
        });
    }
}

impl EntityView {
    /// A view with nothing but its entity.
    pub fn new(entity: impl Into<String>, state: State) -> Self {
        Self { entity: entity.into(), state, entity_state: None }
    }

    fn read(element: Element<'_>) -> Result<Self, BadElement> {
        Ok(Self {
            entity: element.required_attribute(name::ENTITY)?.to_owned(),
            state: read_state(element.attribute_or_bare(name::STATE_QUALIFIED))?,
            entity_state: element.optional(name::ENTITY_STATE)?.map(EntityState::read).transpose()?,
        })
    }

    fn write(&self, writer: &mut Writer) {
        writer.element(name::ENTITY_VIEW, |writer| {
            writer.attribute(name::STATE_QUALIFIED, self.state.as_str());
            writer.attribute(name::ENTITY, &self.entity);
            let Some(entity_state) = &self.entity_state else { return };
            // The full view of an MCU has four parts (c3p.md 3.3), of which we have something to say in one.
            if self.state == State::Full && !entity_state.media.is_empty() {
                writer.empty(name::ENTITY_CAPABILITIES);
                writer.empty(name::ENTITY_POLICY);
                writer.empty(name::ENTITY_SETTINGS);
            }
            entity_state.write(writer);
        });
    }
}

impl EntityState {
    fn read(element: Element<'_>) -> Result<Self, BadElement> {
        let media = match element.optional(name::VIEW_MEDIA)? {
            Some(media) => media.children_named(name::ENTRY).map(ViewMedia::read).collect::<Result<_, _>>()?,
            None => Vec::new(),
        };
        let initial_filters = match element.optional_in(name::MEDIA_FILTERS_RULES, Namespace::Msav)? {
            Some(rules) => InitialFilter::read_all(rules)?,
            None => Vec::new(),
        };
        Ok(Self { locked: element.value_of(name::VIEW_LOCKED, parse_bool)?, media, initial_filters })
    }

    fn write(&self, writer: &mut Writer) {
        writer.element(name::ENTITY_STATE, |writer| {
            writer.optional_bool(name::VIEW_LOCKED, self.locked);
            if !self.media.is_empty() {
                writer.element(name::VIEW_MEDIA, |writer| self.media.iter().for_each(|media| media.write(writer)));
            }
            if !self.initial_filters.is_empty() {
                writer.element(name::MEDIA_FILTERS_RULES, |writer| {
                    self.initial_filters.iter().for_each(|filter| filter.write(writer));
                });
            }
        });
    }
}

impl ViewMedia {
    fn read(element: Element<'_>) -> Result<Self, BadElement> {
        Ok(Self {
            label: element.required_attribute(name::LABEL_ATTRIBUTE)?.to_owned(),
            media_type: MediaType::parse(element.required(name::TYPE)?.trimmed()),
        })
    }

    fn write(&self, writer: &mut Writer) {
        writer.element(name::ENTRY, |writer| {
            writer.attribute(name::LABEL_ATTRIBUTE, &self.label);
            writer.leaf(name::TYPE, self.media_type.as_str());
        });
    }
}

impl InitialFilter {
    /// The rule that mutes or unmutes everybody without a rule of his own.
    pub fn for_everybody(ingress: MediaFilter) -> Self {
        Self { role: FILTER_ROLE_DEFAULT.to_owned(), ingress: Some(ingress), egress: None }
    }

    /// Whether the rule is for everybody without a rule of his own.
    pub fn is_for_everybody(&self) -> bool {
        self.role == FILTER_ROLE_DEFAULT
    }

    /// The children have the namespace of the rules, which differs between peers.
    fn read_all(rules: Element<'_>) -> Result<Vec<Self>, BadElement> {
        let namespace = rules.namespace();
        rules
            .children_named(name::INITIAL_FILTERS.within(namespace))
            .map(|element| {
                Ok(Self {
                    role: element.required(name::FILTER_ROLE.within(namespace))?.trimmed().to_owned(),
                    ingress: element.value_of(name::FILTER_INGRESS.within(namespace), MediaFilter::parse)?,
                    egress: element.value_of(name::FILTER_EGRESS.within(namespace), MediaFilter::parse)?,
                })
            })
            .collect()
    }

    fn write(&self, writer: &mut Writer) {
        writer.element(name::INITIAL_FILTERS, |writer| {
            writer.leaf(name::FILTER_ROLE, &self.role);
            writer.optional_leaf(name::FILTER_INGRESS, self.ingress.map(MediaFilter::as_str));
            writer.optional_leaf(name::FILTER_EGRESS, self.egress.map(MediaFilter::as_str));
        });
    }
}
