//! The reading side: checks everything, then takes memory.

use std::sync::Arc;

use ndarray::Array2;

use super::address::address;
use super::check::{at_most, below, mark_of, of_batch, scale_of, unused, within, work_of};
use super::{Error, Limits, MAGIC, MAX_COUNTER, MAX_PROBLEM_LEN, VERSION, fixed_len, kind, tag};
use crate::data::{BatchRef, Part};
use crate::ids::{Address, CommitPoint, Generation, Tick};
use crate::math::{ByteMatrix, Inputs, LANES, Panels};
use crate::protocol::{Envelope, Message, TickHeader};

/// Reads a message from its start.
pub struct Reader<'a> {
    total: usize,
    rest: &'a [u8],
    limits: &'a Limits,
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8], limits: &'a Limits) -> Self {
        Self {
            total: bytes.len(),
            rest: bytes,
            limits,
        }
    }

    pub fn envelope(mut self) -> Result<Envelope, Error> {
        let found = self.take()?;
        if found != MAGIC {
            let expected = MAGIC;
            return Err(Error::Magic { expected, found });
        }
        let [found, kind] = self.take()?;
        if found != VERSION {
            let expected = VERSION;
            return Err(Error::Version { expected, found });
        }
        let found = u16::from_le_bytes(self.take()?);
        if found != 0 {
            return Err(Error::Flags { found });
        }
        let generation = Generation(self.counter("generation")?);
        let message = self.message(kind)?;
        Ok(Envelope {
            generation,
            message,
        })
    }

    fn message(&mut self, kind: u8) -> Result<Message, Error> {
        let message = match kind {
            kind::REWIND => Message::Rewind(self.commit()?),
            kind::HELLO => Message::Hello {
                from: self.address()?,
            },
            kind::READY => Message::Ready {
                from: self.address()?,
            },
            kind::UNABLE => Message::Unable {
                from: self.address()?,
                problem: self.problem()?,
            },
            kind::COMMITTED => Message::Committed {
                from: self.address()?,
                commit: self.commit()?,
            },
            kind::DIVERGED => self.diverged()?,
            kind::FORWARD => self.forward()?,
            kind::ACTIVATION => self.activation()?,
            kind::BACKWARD => self.backward()?,
            kind::CONTRIBUTION => self.contribution()?,
            kind::PROPAGATED => self.propagated()?,
            found => {
                let max = kind::DIVERGED;
                return Err(Error::Kind { max, found });
            }
        };
        // Payloads have checked their length before; this is for the kinds without one.
        self.expect(0)?;
        Ok(message)
    }

    fn problem(&mut self) -> Result<String, Error> {
        let found = self.u32()?;
        if found as usize > MAX_PROBLEM_LEN {
            let limit = MAX_PROBLEM_LEN;
            return Err(Error::TextLength { limit, found });
        }
        self.expect(u64::from(found))?;
        let text = std::str::from_utf8(std::mem::take(&mut self.rest)).map_err(Error::Text)?;
        Ok(text.to_owned())
    }

    fn diverged(&mut self) -> Result<Message, Error> {
        let from = self.address()?;
        let neuron = self.u32()?;
        below("neuron", neuron, self.limits.max_neurons)?;
        Ok(Message::Diverged {
            from,
            neuron: neuron as usize,
            tick: Tick(self.counter("tick")?),
        })
    }

    fn forward(&mut self) -> Result<Message, Error> {
        let header = self.tick_header()?;
        let [encoding] = self.take()?;
        self.zeros("reserved")?;
        let (features, rows) = (self.u32()?, self.u32()?);
        let inputs = match encoding {
            tag::BY_REFERENCE => {
                unused("features", u64::from(features))?;
                unused("rows", u64::from(rows))?;
                None
            }
            tag::F32 => {
                within("features", features, self.limits.max_features)?;
                of_batch(&header, rows)?;
                self.expect(values(features, rows))?;
                Some(self.features(features as usize, rows as usize))
            }
            tag::U8 => {
                within("features", features, self.limits.max_features)?;
                of_batch(&header, rows)?;
                self.expect(fixed_len::SCALE as u64 + u64::from(features) * u64::from(rows))?;
                let scale = scale_of(self.u32()?)?;
                Some(self.samples(features as usize, rows as usize, scale))
            }
            found => {
                return Err(Error::Tag {
                    field: "encoding",
                    max: tag::U8,
                    found,
                });
            }
        };
        let inputs = inputs.map(Arc::new);
        Ok(Message::Forward { header, inputs })
    }

    fn activation(&mut self) -> Result<Message, Error> {
        let header = self.tick_header()?;
        let (first, neurons) = self.neurons()?;
        let rows = self.u32()?;
        of_batch(&header, rows)?;
        self.expect(values(neurons, rows))?;
        Ok(Message::Activation {
            header,
            first,
            values: self.matrix(neurons, rows),
        })
    }

    fn backward(&mut self) -> Result<Message, Error> {
        let tick = self.tick()?;
        let next = self.next(tick)?;
        let (first, neurons) = self.neurons()?;
        let rows = self.rows()?;
        self.expect(values(neurons, rows))?;
        Ok(Message::Backward {
            tick,
            next,
            first,
            errors: self.matrix(neurons, rows),
        })
    }

    fn contribution(&mut self) -> Result<Message, Error> {
        let tick = self.tick()?;
        let next = self.next(tick)?;
        let (first, neurons) = self.neurons()?;
        let rows = self.u32()?;
        let most = u64::from(self.limits.max_rows) * u64::from(self.limits.max_positions);
        at_most("rows", u64::from(rows), most)?;
        let fan_in = self.u32()?;
        within("fan_in", fan_in, self.limits.max_features)?;
        self.expect(values(neurons, rows).saturating_add(values(neurons, fan_in)))?;
        Ok(Message::Contribution {
            tick,
            next,
            first,
            deltas: self.matrix(neurons, rows),
            weights: self.matrix(neurons, fan_in),
        })
    }

    fn propagated(&mut self) -> Result<Message, Error> {
        let tick = self.tick()?;
        let next = self.next(tick)?;
        let fan_in = self.u32()?;
        within("fan_in", fan_in, self.limits.max_features)?;
        let rows = self.rows()?;
        self.expect(values(fan_in, rows))?;
        Ok(Message::Propagated {
            tick,
            next,
            errors: self.matrix(fan_in, rows),
        })
    }

    fn commit(&mut self) -> Result<CommitPoint, Error> {
        Ok(CommitPoint {
            number: self.counter("commit number")?,
            tick: self.tick()?,
        })
    }

    fn address(&mut self) -> Result<Address, Error> {
        let [kind] = self.take()?;
        self.zeros("reserved")?;
        let (layer, index) = (self.u32()?, self.u32()?);
        address(kind, layer, index, self.limits)
    }

    fn tick_header(&mut self) -> Result<TickHeader, Error> {
        let tick = self.tick()?;
        let mark = self.counter("mark")?;
        let step = self.counter("step")?;
        let learning_rate = f32::from_bits(self.u32()?);
        let (epoch, index) = (self.u32()?, self.u32()?);
        let rows = self.rows()?;
        let [part, work, marked, reserved] = self.take()?;
        unused("reserved", u64::from(reserved))?;
        let part = match part {
            tag::PART_TRAIN => Part::Train,
            tag::PART_VALIDATION => Part::Validation,
            tag::PART_TEST => Part::Test,
            found => {
                let (field, max) = ("part", tag::PART_TEST);
                return Err(Error::Tag { field, max, found });
            }
        };
        Ok(TickHeader {
            tick,
            work: work_of(work, step, learning_rate)?,
            batch: BatchRef {
                part,
                epoch,
                index,
                rows,
            },
            mark: mark_of(marked, mark)?,
        })
    }

    /// The header of the tick after this one, if there is one.
    fn next(&mut self, tick: Tick) -> Result<Option<TickHeader>, Error> {
        let none = [0; fixed_len::TICK_HEADER];
        if let Some(rest) = self.rest.strip_prefix(&none) {
            self.rest = rest;
            return Ok(None);
        }
        let header = self.tick_header()?;
        let (expected, found) = (tick.next().0, header.tick.0);
        if found != expected {
            return Err(Error::Next { expected, found });
        }
        Ok(Some(header))
    }

    /// The index of the first neuron in its layer, and how many there are.
    fn neurons(&mut self) -> Result<(usize, u32), Error> {
        let (first, neurons) = (self.u32()?, self.u32()?);
        within("neurons", neurons, self.limits.max_neurons)?;
        let room = self.limits.max_neurons - neurons;
        at_most("first", u64::from(first), u64::from(room))?;
        Ok((first as usize, neurons))
    }

    /// Rows of a batch, which may be empty.
    fn rows(&mut self) -> Result<u32, Error> {
        let rows = self.u32()?;
        at_most("rows", u64::from(rows), u64::from(self.limits.max_rows))?;
        Ok(rows)
    }

    fn tick(&mut self) -> Result<Tick, Error> {
        Ok(Tick(self.counter("tick")?))
    }

    fn counter(&mut self, field: &'static str) -> Result<u64, Error> {
        let found = u64::from_le_bytes(self.take()?);
        at_most(field, found, MAX_COUNTER)?;
        Ok(found)
    }

    fn u32(&mut self) -> Result<u32, Error> {
        Ok(u32::from_le_bytes(self.take()?))
    }

    fn zeros(&mut self, field: &'static str) -> Result<(), Error> {
        let [a, b, c] = self.take()?;
        unused(field, u64::from(u32::from_le_bytes([a, b, c, 0])))
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let Some((&taken, rest)) = self.rest.split_first_chunk() else {
            return Err(Error::Truncated {
                expected: self.total - self.rest.len() + N,
                found: self.total,
            });
        };
        self.rest = rest;
        Ok(taken)
    }

    /// Checks that exactly this many bytes follow.
    fn expect(&self, payload: u64) -> Result<(), Error> {
        if self.rest.len() as u64 == payload {
            return Ok(());
        }
        let fixed = self.total - self.rest.len();
        Err(Error::Length {
            expected: payload.saturating_add(fixed as u64),
            found: self.total,
        })
    }

    /// The next values as a matrix; `expect` has seen that they are there.
    fn matrix(&mut self, rows: u32, columns: u32) -> Arc<Array2<f32>> {
        let shape = (rows as usize, columns as usize);
        let (taken, rest) = self.rest.split_at(4 * shape.0 * shape.1);
        self.rest = rest;
        let values = floats(taken).collect();
        Arc::new(Array2::from_shape_vec(shape, values).expect("as many values as the shape has"))
    }

    /// The next values as inputs; `expect` has seen that they are there.
    fn features(&mut self, features: usize, rows: usize) -> Inputs {
        let mut panels = Panels::zeros(features, rows);
        if rows > 0 {
            let values = std::mem::take(&mut self.rest).chunks_exact(4 * rows);
            for (feature, values) in values.enumerate() {
                for (panel, values) in values.chunks(4 * LANES).enumerate() {
                    let cell = &mut panels.panel_mut(panel)[feature];
                    for (lane, value) in cell.iter_mut().zip(floats(values)) {
                        *lane = value;
                    }
                }
            }
        }
        Inputs::new(panels)
    }

    /// The next bytes as inputs; `expect` has seen that they are there.
    fn samples(&mut self, features: usize, rows: usize, scale: f32) -> Inputs {
        let mut matrix = ByteMatrix::zeros(rows, features, scale);
        let bytes = std::mem::take(&mut self.rest).chunks_exact(features);
        for (row, bytes) in bytes.enumerate() {
            matrix.row_mut(row).copy_from_slice(bytes);
        }
        Inputs::from_bytes(matrix)
    }
}

fn floats(bytes: &[u8]) -> impl ExactSizeIterator<Item = f32> {
    let (values, _) = bytes.as_chunks();
    values.iter().map(|&value| f32::from_le_bytes(value))
}

/// Bytes of a matrix. Two u32 cannot overflow a u64; four times that can, and then no message is
/// long enough.
fn values(rows: u32, columns: u32) -> u64 {
    (u64::from(rows) * u64::from(columns)).saturating_mul(4)
}
