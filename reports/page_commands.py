"""The commands of the pages that take long, with options that make them short, or the reason why no test runs them."""


class NotRun(str):
    """Why a command is not run by the tests of the pages."""


INSTALLS = NotRun("it changes the environment; the legs of tox install the same extras")
LEG = NotRun("a leg of tox runs it in continuous integration")
KFAC = "fishergauge check examples/my_kfac.py:subject"
FEW = "--claims T4,T26-form -j 1"
PART = "--parts conformance -j 1"
COUNTED = "--no-time --no-peers --problems softmax-small --tasks ggn/diagonal --implementations fishergauge"
SERVES = NotRun("it serves until it is stopped; tests of the sweeps start schedulers and workers of their own")
NO_CLUSTER = NotRun("there is no cluster at this address; tests of the sweeps start one")
SHORT = "--models mlp --families permutation --approximations kfac-joint,gradient"
BUILD = "pytest --pyargs fishergauge.suites.bench_build --bench-implementations 'ggn/*'"

SETUP = "python3 -m venv .venv && .venv/bin/pip install --quiet tox && .venv/bin/tox run -e"

OPTIONS = {
    f"{SETUP} report": NotRun("continuous integration begins with it"),
    f"{SETUP} cpu": NotRun("continuous integration ends with it"),
    "pip install '.[report]'": INSTALLS,
    "pip install '.[peers]'": INSTALLS,
    "pip install '.[bench,peers]'": INSTALLS,
    "pip uninstall --yes torchvision": INSTALLS,
    "pytest --pyargs fishergauge.suites": LEG,
    "fishergauge reproduce all --quick": LEG,
    "fishergauge peers --only 'curvlinops/kfac-*' --quick": LEG,
    "fishergauge peers --only curvlinops --update suites/peers/findings": NotRun("it rewrites the ledger"),
    f"{BUILD} --benchmark-save=before": LEG,
    f"{BUILD} --benchmark-compare --benchmark-compare-fail=median:25%": LEG,
    "fishergauge check my_hessian.py:subject --quick": "--problems mlp-tanh-*,recurrent,masked-labels -j 1",
    "fishergauge report --subject my_hessian.py:subject --quick --out my-report": "--parts accuracy -j 1",
    "fishergauge report --subject my_hessian.py:subject --quick --out new-report --compare my-report": "--parts accuracy -j 1",
    "fishergauge check examples/my_kfac.py:mistaken --problems mlp-tanh-gaussian": "-j 1",
    "fishergauge check my_ggn.py:subject": "--problems mlp-tanh-*,recurrent,masked-labels -j 1",
    "fishergauge check posterior.py:subject --problems 'linear-regression,mlp-*,softmax-*'": "--problems 'linear-r*,mlp-t*'",
    "fishergauge check products.py:subject --problems 'mlp-tanh-*,cnn,recurrent'": "--problems mlp-tanh-softmax",
    "fishergauge check kfac.py:subject --json conformance.jsonl": FEW,
    "fishergauge check kfac.py:subject --baseline conformance.jsonl": FEW,
    f"{KFAC} --quick": FEW,
    f"{KFAC} --quick --json records.jsonl --junit conformance.xml": FEW,
    f"{KFAC} --quick --json conformance.jsonl": FEW,
    f"{KFAC} --quick --baseline conformance.jsonl": FEW,
    f"{KFAC} --json conformance.jsonl": FEW,
    f"{KFAC} --json new.jsonl --baseline conformance.jsonl": FEW,
    "pytest --pyargs fishergauge.suites --subject examples/my_kfac.py:subject --fisher-quick": "-k 'T4 or T26-form'",
    "pytest test_kfac.py": "-k 'T4 or T26-form'",
    "fishergauge accept examples/my_kfac.py:mistaken --claims T4": "--problems 'mlp-tanh-*' -j 1",
    "fishergauge accuracy --quick": "--problems deep-linear-three --approximations 'ggn,kfac*' -j 1",
    "fishergauge accuracy --subject examples/my_kfac.py:subject --problems 'mlp-*'": "--approximations 'ggn,kfac*' -j 1",
    "fishergauge report --subject examples/my_kfac.py:subject --quick --out report": PART,
    "fishergauge report --subject kfac.py:subject --quick --out report": PART,
    "fishergauge probe examples/my_kfac.py:subject --size 1e4 --quick --out report": "--probes factors",
    "fishergauge spectrum": "--quick --models mlp --families permutation,affine --approximations kfac-joint,gradient -j 1",
    "pip install '.[dask]'": INSTALLS,
    "dask scheduler": SERVES,
    "dask worker tcp://10.0.0.1:8786 --nworkers 4 --nthreads 1": SERVES,
    "fishergauge spectrum --quick --out results --scheduler tcp://10.0.0.1:8786": NO_CLUSTER,
    "fishergauge spectrum --quick --out results --cluster dask_jobqueue:SLURMCluster,cores=4,memory=8GB,jobs=10": NO_CLUSTER,
    "fishergauge spectrum --quick --out results --cluster local:2": SHORT,
    "fishergauge spectrum --quick --out results": SHORT,
    "fishergauge spectrum --quick --out first --shard 1/2": SHORT,
    "fishergauge spectrum --quick --out second --shard 2/2": SHORT,
    "fishergauge spectrum --quick --out joint": SHORT,
    "fishergauge selftest --probes --csv probes.csv": NotRun("it takes half an hour; a sample of it is a test"),
    "fishergauge check ranks.py:subject --claims T26-shards --problems 'mlp-tanh-*,masked-labels'": "-j 1",
    "fishergauge spectrum --quick --subject examples/my_kfac.py:subject": "--models mlp --families kronecker -j 1",
    "fishergauge reproduce e1 e4 --data wine breast-cancer --seeds 5 --out results": "--data wine --seeds 1 --quick --jobs 1",
    "fishergauge reproduce posterior jacobian --quick": "--jobs 1",
    "fishergauge bench --no-time --threads 1 --no-peers --json baseline.jsonl": COUNTED,
    "fishergauge bench --no-time --threads 1 --no-peers --baseline baseline.jsonl": COUNTED,
}
