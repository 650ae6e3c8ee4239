//! Weights from PyTorch give PyTorch's answers, and come out again as they were. `tests/torch` has the cases
//! and the script that made them.

use std::collections::BTreeMap;
use std::path::Path;

use cuttlefish::import::{self, Error, FileTensor, ImportOptions, Imported, Tensors};
use cuttlefish::layout::Layout;
use cuttlefish::layout::constants::Constants;
use cuttlefish::{export, layers};
use cuttlefish_core::math::{Activation, Inputs, Panels};
use cuttlefish_core::network::Network;
use cuttlefish_core::topology::{self, DataShape, Graph, Grouping, TaskShape};
use ndarray::Array2;
use proptest::prelude::*;
use serde::Deserialize;

#[derive(Deserialize)]
struct TorchCase {
    rows: Vec<Vec<f32>>,
    answers: Vec<Vec<f32>>,
}

/// A network of `tests/torch`.
struct TorchNetwork {
    name: &'static str,
    weights: &'static str,
    features: usize,
    image: Option<(usize, usize)>,
}

const IMAGES: TorchNetwork = TorchNetwork {
    name: "images",
    weights: "images.safetensors",
    features: 3 * 8 * 8,
    image: Some((8, 8)),
};
const STEPS: TorchNetwork = TorchNetwork {
    name: "steps",
    weights: "steps.safetensors",
    features: 12,
    image: None,
};
const CHANNELS: TorchNetwork = TorchNetwork {
    name: "channels",
    weights: "channels.npz",
    features: 6 * 4,
    image: Some((6, 4)),
};
const ALL: [TorchNetwork; 3] = [IMAGES, STEPS, CHANNELS];

fn file(name: &str) -> Vec<u8> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/torch");
    std::fs::read(dir.join(name)).unwrap()
}

impl TorchNetwork {
    fn graph(&self) -> (Graph, Vec<layers::LayerSpec>) {
        let text = String::from_utf8(file(&format!("{}.yaml", self.name))).unwrap();
        let document = topology::parse(&text, &[]).unwrap();
        let shape = DataShape {
            features: self.features,
            image: self.image,
            value_bytes: 4,
            task: TaskShape::Classification { classes: 3 },
            train_rows: 1,
            validation_rows: 1,
            test_rows: 0,
        };
        let graph = document.graph(&shape, Grouping::WholeLayers).unwrap();
        (graph, document.layers().to_vec())
    }

    fn case(&self) -> TorchCase {
        let mut cases: BTreeMap<String, TorchCase> =
            serde_json::from_slice(&file("cases.json")).unwrap();
        cases.remove(self.name).unwrap()
    }

    fn tensors(&self) -> Tensors {
        import::read(&file(self.weights)).unwrap()
    }

    fn import(&self, tensors: &Tensors, options: ImportOptions) -> Result<Imported, Error> {
        let (graph, layers) = self.graph();
        import::import(&graph, &layers, tensors, options)
    }
}

const AS_NAMED: ImportOptions = ImportOptions {
    layout: None,
    ignore_extra: false,
};

fn matrix(rows: &[Vec<f32>]) -> Array2<f32> {
    Array2::from_shape_fn((rows.len(), rows[0].len()), |(i, j)| rows[i][j])
}

/// Largest difference between our answers and PyTorch's.
fn worst(network: &TorchNetwork, imported: &Imported) -> f32 {
    let case = network.case();
    let (graph, _) = network.graph();
    let restored = Network::restore(&graph, &imported.states).unwrap();
    let answers = restored.predict(&Inputs::new(Panels::pack(matrix(&case.rows).t())));
    let difference = &answers.t() - &matrix(&case.answers);
    difference
        .iter()
        .fold(0.0f32, |worst, d| worst.max(d.abs()))
}

#[test]
fn the_same_weights_give_the_same_answers() {
    for network in ALL {
        let imported = network.import(&network.tensors(), AS_NAMED).unwrap();
        let worst = worst(&network, &imported);
        assert!(worst < 1e-5, "{}: {worst:e}", network.name);
        assert!(
            imported.notes[0].starts_with("the tensors are in PyTorch's layout, by their names")
        );
    }
}

#[test]
fn numbers_of_other_sizes_are_converted_and_that_is_said() {
    let notes =
        |network: &TorchNetwork| network.import(&network.tensors(), AS_NAMED).unwrap().notes;
    assert_eq!(notes(&IMAGES).len(), 1);
    assert_eq!(notes(&STEPS)[1], "converted 6 tensors of F64 to F32");
    assert_eq!(notes(&CHANNELS)[1], "converted 4 tensors of float16 to F32");
}

#[test]
fn what_was_imported_is_exported_with_the_same_numbers() {
    for network in ALL {
        let tensors = network.tensors();
        let imported = network.import(&tensors, AS_NAMED).unwrap();
        let (graph, layers) = network.graph();
        let exported =
            export::tensors_in(Layout::Torch, &graph, &layers, &imported.states).unwrap();
        if network.name != CHANNELS.name {
            let of_neurons = tensors
                .by_name
                .iter()
                .filter(|(name, _)| !name.ends_with("tracked"));
            assert_eq!(exported.len(), of_neurons.count(), "{}", network.name);
        }
        for (index, tensor) in exported.iter().enumerate() {
            // The last network has the names of its layers instead of numbers.
            let named = match network.name {
                "channels" => ["conv.weight", "conv.bias", "out.weight", "out.bias"][index],
                _ => &tensor.name,
            };
            let theirs = &tensors.by_name[named];
            assert_eq!(theirs.shape, tensor.shape, "{named}");
            assert_eq!(theirs.numbers.as_ref(), Some(&tensor.data), "{named}");
        }
        let numbers: Vec<&str> = exported.iter().map(|tensor| tensor.name.as_str()).collect();
        if network.name == CHANNELS.name {
            assert_eq!(numbers, ["0.weight", "0.bias", "3.weight", "3.bias"]);
        }
    }
}

/// Through Keras's layout, in which a dense kernel behind a convolution is in another order.
#[test]
fn both_layouts_hold_the_same_network() {
    for network in ALL {
        let imported = network.import(&network.tensors(), AS_NAMED).unwrap();
        let (graph, _) = network.graph();
        let keras = export::tensors(&graph, &imported.states).unwrap();
        let tensors = keras.into_iter().map(|tensor| {
            let of_file = FileTensor {
                dtype: "F32".to_owned(),
                shape: tensor.shape,
                numbers: Some(tensor.data),
            };
            (tensor.name, of_file)
        });
        let again = network.import(&of_tensors(tensors), AS_NAMED).unwrap();
        assert_eq!(again.states, imported.states, "{}", network.name);
        assert!(again.notes.is_empty(), "{:?}", again.notes);
    }
}

/// Keras has the channels of a place side by side, PyTorch and a neuron here the places of a channel.
#[test]
fn a_dense_kernel_behind_a_convolution_is_permuted() {
    let imported = STEPS.import(&STEPS.tensors(), AS_NAMED).unwrap();
    let (graph, _) = STEPS.graph();
    let keras = export::tensors(&graph, &imported.states).unwrap();
    let kernel = keras
        .iter()
        .find(|tensor| tensor.name == "out/kernel")
        .unwrap();
    let torch = &STEPS.tensors().by_name["6.weight"];
    let torch = torch.numbers.as_ref().unwrap();
    let (channels, places, units) = (2, 3, 3);
    for channel in 0..channels {
        for place in 0..places {
            for unit in 0..units {
                let ours = kernel.data[(place * channels + channel) * units + unit];
                let theirs = torch[unit * channels * places + channel * places + place];
                assert_eq!(ours, theirs);
            }
        }
    }
}

fn of_tensors(tensors: impl Iterator<Item = (String, FileTensor)>) -> Tensors {
    Tensors {
        by_name: tensors.collect(),
        metadata: BTreeMap::new(),
    }
}

#[test]
fn modules_may_be_numbered_otherwise_as_long_as_their_order_is_clear() {
    // A `Flatten` in front, say, that the topology has not.
    let shifted = |by: usize| {
        let tensors = STEPS.tensors().by_name.into_iter().map(|(name, tensor)| {
            let (module, end) = name.split_once('.').unwrap();
            let module = module.parse::<usize>().unwrap() * 2 + by;
            (format!("{module}.{end}"), tensor)
        });
        of_tensors(tensors)
    };
    let imported = STEPS.import(&shifted(1), AS_NAMED).unwrap();
    assert!(worst(&STEPS, &imported) < 1e-5);
    let mut more = shifted(1);
    more.by_name
        .insert("99.weight".to_owned(), more.by_name["1.weight"].clone());
    let error = STEPS.import(&more, AS_NAMED).unwrap_err().to_string();
    assert!(
        error.starts_with("find the tensor `0.weight` of shape [3, 1, 4]"),
        "{error}"
    );
}

#[test]
fn tensors_that_the_network_has_not_are_refused_unless_told() {
    let mut tensors = IMAGES.tensors();
    tensors
        .by_name
        .insert("head.weight".to_owned(), tensors.by_name["0.bias"].clone());
    let error = IMAGES.import(&tensors, AS_NAMED).unwrap_err().to_string();
    assert_eq!(
        error,
        "place `head.weight`: the network has no such tensors (leave them out with `--ignore-extra`)"
    );
    let options = ImportOptions {
        ignore_extra: true,
        ..AS_NAMED
    };
    let imported = IMAGES.import(&tensors, options).unwrap();
    assert_eq!(
        imported.notes[1],
        "left out `head.weight`: the network has no such tensors"
    );
}

#[test]
fn what_no_tensor_says_is_noted_or_refused() {
    let (graph, layers) = IMAGES.graph();
    let mut other = graph.clone();
    let normal = other.layers[0].normalization.as_mut().unwrap();
    normal.epsilon = 1e-3;
    let imported = import::import(&other, &layers, &IMAGES.tensors(), AS_NAMED).unwrap();
    let note = &imported.notes[1];
    assert!(
        note.starts_with("batch normalization `normal` adds 0.001 to the variance"),
        "{note}"
    );
    // A file that says so needs no guess.
    let mut said = IMAGES.tensors();
    let mut say = |epsilon: &str| {
        let key = "batch_normalization_epsilon".to_owned();
        said.metadata.insert(key, epsilon.to_owned());
        import::import(&other, &layers, &said, AS_NAMED)
            .unwrap()
            .notes
    };
    assert_eq!(say("0.001, 0.00001").len(), 1);
    let notes = say("0.1, 0.00001");
    assert!(
        notes[1].ends_with("and that of the file's network added 0.1 (write `epsilon: 0.1`)"),
        "{notes:?}"
    );
    let mut other = graph.clone();
    other.layers[0].activation = Activation::LeakyRelu;
    let notes = import::import(&other, &layers, &IMAGES.tensors(), AS_NAMED)
        .unwrap()
        .notes;
    assert!(
        notes[1].starts_with(
            "`leaky_relu` has the slope 0.2 below 0, and PyTorch's has 0.01 by default ("
        ),
        "{notes:?}"
    );
    other.layers[0].normalization.as_mut().unwrap().epsilon = 1e-3;
    assert_eq!(
        Constants::of(&other).torch_notes(),
        [
            "batch normalization `normal` adds 0.001 to the variance, and PyTorch's adds 1e-5 by default (build it \
             with `eps=0.001`)",
            "`leaky_relu` has the slope 0.2 below 0, and PyTorch's has 0.01 by default (build it with \
             `negative_slope=0.2`)"
        ]
    );
    let mut other = graph.clone();
    other.layers[0].normalization.as_mut().unwrap().center = false;
    let error = import::import(&other, &layers, &IMAGES.tensors(), AS_NAMED)
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("use the tensor `2.bias`: the network does not learn it, and its numbers are not all 0 (write `center: true`"),
        "{error}"
    );
}

#[test]
fn a_file_that_does_not_fit_is_named_with_what_would() {
    let mut both = IMAGES.tensors();
    both.by_name
        .insert("out/kernel".to_owned(), both.by_name["0.bias"].clone());
    let error = IMAGES.import(&both, AS_NAMED).unwrap_err().to_string();
    assert!(
        error.starts_with("tell the layout:") && error.contains("`--layout torch`"),
        "{error}"
    );
    let keras = ImportOptions {
        layout: Some(Layout::Keras),
        ..AS_NAMED
    };
    let error = IMAGES
        .import(&IMAGES.tensors(), keras)
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("find the tensor `first/kernel` of shape [3, 2, 3, 4]"),
        "{error}"
    );
    let mut turned = IMAGES.tensors();
    turned.by_name.get_mut("11.weight").unwrap().shape = vec![6, 3];
    let error = IMAGES.import(&turned, AS_NAMED).unwrap_err().to_string();
    assert!(
        error.contains(
            "it is F32 of shape [6, 3], and the network needs F32 of shape [3, 6] (is it"
        ),
        "{error}"
    );
    let mut whole = IMAGES.tensors();
    whole.by_name.insert(
        "11.bias".to_owned(),
        whole.by_name["2.num_batches_tracked"].clone(),
    );
    let error = IMAGES.import(&whole, AS_NAMED).unwrap_err().to_string();
    assert!(
        error.contains("`11.bias`: it is I64 of shape []"),
        "{error}"
    );
    let refusal = |file: &[u8]| import::read(file).unwrap_err().to_string();
    assert!(
        refusal(b"\x89HDF\r\n\x1a\n").contains("an HDF5 file (write the tensors with `numpy.savez")
    );
    assert!(refusal(b"PK\x03\x04").contains("the archive is damaged"));
}

proptest! {
    #[test]
    fn damaged_files_never_panic(
        name in prop::sample::select(vec![IMAGES.weights, STEPS.weights, CHANNELS.weights]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        length in any::<prop::sample::Index>(),
        cut in any::<bool>(),
    ) {
        let mut bytes = file(name);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if cut {
            bytes.truncate(length.index(bytes.len() + 1));
        }
        if let Ok(tensors) = import::read(&bytes) {
            for network in ALL {
                for layout in [None, Some(Layout::Keras), Some(Layout::Torch)] {
                    let options = ImportOptions { layout, ignore_extra: true };
                    let _ = network.import(&tensors, options);
                }
            }
        }
    }
}
