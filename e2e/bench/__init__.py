"""A benchmark of operators: any operator, against a real kube-apiserver and etcd.

    python -m e2e.bench e2e/bench/ondol.yaml

One YAML file describes the operator, the object that is created and the children that it must
give (see `config`). What is measured, and how, is told by the docstrings of `run` and `measure`.
"""
