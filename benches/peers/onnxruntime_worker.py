"""ONNX Runtime as a contender: onnxruntime_worker.py MODEL.onnx INPUTS BATCH THREADS."""

import sys

import onnxruntime

from worker import read_inputs, serve


def main():
    model, inputs, batch, threads = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    images = read_inputs(inputs, batch)

    def infer():
        return session.run(None, {name: images})[0]

    infer()
    serve({"version": onnxruntime.__version__, "threads": threads}, infer)


main()
