"""Other watermarks from PyPI, unmodified: one JSON job a line in, one JSON answer a line out.

{"do": "embed", "peer": NAME, "image": PNG, "out": PNG, "bits": "0110..."} answers {}
{"do": "extract", "peer": NAME, "image": PNG, "length": 64} answers {"bits": "0110..."}
A peer that refuses or breaks answers {"error": "..."}.
"""
import contextlib
import io
import json
import sys
import types

# only the neural method of invisible-watermark uses these, and its package imports them in any case
for name in ("torch", "onnxruntime"):
    sys.modules.setdefault(name, types.ModuleType(name))

import cv2
from blind_watermark import WaterMark, bw_notes
from imwatermark import WatermarkDecoder, WatermarkEncoder

bw_notes.close()


def bits_of(text):
    return [int(bit) for bit in text]


def embed(peer, image, out, bits):
    if peer == "blind_watermark":
        mark = WaterMark(password_img=1, password_wm=1)
        mark.read_img(img=image)
        mark.read_wm([bit == 1 for bit in bits_of(bits)], mode="bit")
        cv2.imwrite(out, mark.embed().clip(0, 255).round().astype("uint8"))
        return
    encoder = WatermarkEncoder()
    encoder.set_watermark("bits", bits_of(bits))
    cv2.imwrite(out, encoder.encode(image, peer.removeprefix("imwatermark ")))


def extract(peer, image, length):
    if peer == "blind_watermark":
        found = WaterMark(password_img=1, password_wm=1).extract(embed_img=image, wm_shape=length, mode="bit")
    else:
        found = WatermarkDecoder("bits", length).decode(image, peer.removeprefix("imwatermark "))
    return "".join("1" if bit > 0.5 else "0" for bit in found)


def answer(job):
    image = cv2.imread(job["image"])
    with contextlib.redirect_stdout(io.StringIO()):
        if job["do"] == "embed":
            embed(job["peer"], image, job["out"], job["bits"])
            return {}
        return {"bits": extract(job["peer"], image, job["length"])}


for line in sys.stdin:
    try:
        told = answer(json.loads(line))
    except Exception as error:  # a peer that breaks on a picture has not read it
        told = {"error": f"{type(error).__name__}: {error}"[:300]}
    print(json.dumps(told), flush=True)
