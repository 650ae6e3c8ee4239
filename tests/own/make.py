"""Writes small files of pictures and arrays as Pillow and NumPy write them, and what is in them.

    python -m venv venv && venv/bin/pip install numpy pillow
    venv/bin/python tests/own/make.py

Made with NumPy 2.4.6 and Pillow 13.0.0.
"""

import json
import pathlib

import numpy
from PIL import Image

here = pathlib.Path(__file__).parent
height, width = 10, 17
y, x = numpy.mgrid[:height, :width]
# Smooth, so that decoders of JPEG differ little.
rgb = numpy.stack([x * 15, y * 25, (x + y) * 9], axis=2).astype("uint8")
color = Image.fromarray(rgb)
gray = color.convert("L")
alpha = numpy.full((height, width), 255, "uint8")

color.save(here / "rgb.png")
gray.save(here / "gray.png")
color.quantize(16).save(here / "palette.png")
gray.point(lambda v: 255 * (v > 100)).convert("1").save(here / "bits.png")
opaque = color.copy()
opaque.putalpha(Image.fromarray(alpha))
opaque.save(here / "opaque.png")
alpha[3, 5] = 128
opaque.putalpha(Image.fromarray(alpha))
opaque.save(here / "transparent.png")
Image.fromarray((numpy.asarray(gray).astype("uint16") * 257)).save(here / "deep.png")
color.save(here / "rgb.jpg", quality=95)
color.save(here / "progressive.jpg", quality=95, progressive=True, subsampling=0)
gray.save(here / "gray.jpg", quality=95)
color.convert("CMYK").save(here / "cmyk.jpg")

pictures = {}
for name in ["rgb.png", "gray.png", "palette.png", "bits.png", "opaque.png", "rgb.jpg", "progressive.jpg", "gray.jpg"]:
    picture = Image.open(here / name)
    mode = "L" if picture.mode in ("L", "1") else "RGB"
    pixels = numpy.asarray(picture.convert(mode))
    # Channel by channel.
    pixels = pixels if mode == "L" else pixels.transpose(2, 0, 1)
    pictures[name] = pixels.ravel().tolist()
as_gray = numpy.asarray(gray).ravel().tolist()

arrays = {
    "u1": numpy.arange(12, dtype="u1").reshape(3, 2, 2),
    "i8": numpy.array([3, -1, 3]),
    "big": numpy.array([1, 258, -2], ">i4"),
    "f2": numpy.array([0.5, -1.25], "f2"),
    "f8": numpy.array([[0.1, 2.0]]),
    "fortran": numpy.asfortranarray(numpy.arange(6, dtype="f4").reshape(2, 3)),
    "flag": numpy.array([True, False]),
    "scalar": numpy.array(7, "f4"),
}
numpy.savez(here / "stored.npz", **arrays)
numpy.savez_compressed(here / "deflated.npz", **arrays)
numpy.save(here / "one.npy", arrays["u1"])
numpy.savez(here / "objects.npz", x=numpy.array([{}, None], dtype=object))
document = {
    "size": [height, width],
    "pictures": pictures,
    "rgb.png as grayscale": as_gray,
    "arrays": {name: [list(a.shape), a.ravel().astype("f8").tolist()] for name, a in arrays.items()},
}
(here / "contents.json").write_text(json.dumps(document) + "\n")
print(f"NumPy {numpy.__version__}, Pillow {Image.__version__}")
