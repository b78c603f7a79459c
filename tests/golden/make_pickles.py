"""Makes tests/golden/pickles: one value pickled by this Python and numpy in every protocol.

  python tests/golden/make_pickles.py

Run it with numpy 1 and with numpy 2, whose arrays name other modules: each writes files of its own. The keys are byte
strings, as in what Python 2 wrote and Python 3 wrote again, and text.
"""
import pathlib
import pickle

import numpy as np

folder = pathlib.Path(__file__).parent / 'pickles'
major = np.__version__.split('.')[0]


def contents(key):
    return {key('data'): np.array([[0, 10, 13, 26, 92, 127], [39, 128, 200, 250, 254, 255]], np.uint8),
            key('labels'): [3, 300, -1, 70000, 2**40],
            key('filenames'): [key('a\\b.png'), key('caf\xe9\n'), key('')],
            key('empty'): np.zeros((0, 6), np.uint8),
            key('batch_label'): key('training batch 1 of 5'),
            key('ok'): True,
            key('none'): None}


for protocol in range(6):
    for name, key in (('bytes', lambda s: s.encode('latin1')), ('text', str)):
        path = folder / f'numpy{major}_protocol{protocol}_{name}.pkl'
        path.write_bytes(pickle.dumps(contents(key), protocol))
        print(path.name, path.stat().st_size)

buffers = []
path = folder / f'numpy{major}_protocol5_out_of_band.pkl'
path.write_bytes(pickle.dumps(contents(str), 5, buffer_callback=buffers.append))
