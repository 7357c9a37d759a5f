"""Paddle Inference with oneDNN as a contender: paddle_worker.py MODEL_FOLDER INPUTS BATCH THREADS.

MODEL_FOLDER holds the older export, `inference.pdmodel`: for the newer one, `inference.json`, Paddle 3.3.1 fails where memory
optimisation is asked for.
"""

import os
import sys

import paddle
from paddle import inference

from worker import read_inputs, serve


def main():
    folder, inputs, batch, threads = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    config = inference.Config(os.path.join(folder, "inference.pdmodel"), os.path.join(folder, "inference.pdiparams"))
    config.disable_gpu()
    config.enable_mkldnn()
    config.set_cpu_math_library_num_threads(threads)
    config.enable_memory_optim()
    config.disable_glog_info()
    predictor = inference.create_predictor(config)
    if not config.mkldnn_enabled():
        sys.exit("this build of Paddle has no oneDNN")
    images = read_inputs(inputs, batch)
    given = predictor.get_input_handle(predictor.get_input_names()[0])
    result = predictor.get_output_handle(predictor.get_output_names()[0])

    def infer():
        given.copy_from_cpu(images)
        predictor.run()
        return result.copy_to_cpu()

    infer()
    serve({"version": paddle.__version__, "threads": threads}, infer)


main()
