//! Heights and widths as a person writes them: `5`, or `[5, 3]`.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::math::conv::Size;

/// One number for both, or height and width.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Extent {
    /// Height and width are the same.
    Square(usize),
    /// Height and width.
    Rectangle([usize; 2]),
}

impl Extent {
    /// Square of a side.
    pub fn square(side: usize) -> Self {
        Self::Square(side)
    }

    /// Both as numbers.
    pub fn size(self) -> Size {
        let [height, width] = match self {
            Self::Square(side) => [side; 2],
            Self::Rectangle(sides) => sides,
        };
        Size { height, width }
    }
}

/// `5` says the same as `[5, 5]`.
impl PartialEq for Extent {
    fn eq(&self, other: &Self) -> bool {
        self.size() == other.size()
    }
}

impl Default for Extent {
    fn default() -> Self {
        Self::square(1)
    }
}

impl JsonSchema for Extent {
    fn schema_name() -> Cow<'static, str> {
        "Extent".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["integer", "array"],
            "format": "uint",
            "minimum": 1,
            "maximum": 1024,
            "items": {"type": "integer", "format": "uint", "minimum": 1, "maximum": 1024},
            "minItems": 2,
            "maxItems": 2,
        })
    }
}
