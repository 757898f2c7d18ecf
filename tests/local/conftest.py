"""Let pytest explain the assertions of the contract suites, which are no test modules of their own."""

import pytest

pytest.register_assert_rewrite("tests.local.host_contract")
