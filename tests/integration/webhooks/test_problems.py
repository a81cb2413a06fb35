"""Every error body has one form, and says nothing that only the log may know."""

import flask
import pytest
from werkzeug.exceptions import HTTPException

from service import errors
from service.web import problems


@pytest.fixture
def client_of():
    def make(error):
        app = flask.Flask(__name__)
        problems.register(app)

        @app.get("/")
        def fail():
            raise error

        @app.get("/page/")
        def page():
            return "a page"

        return app.test_client()

    return make


def test_an_error_of_the_tree_says_what_and_how_to_mend_it(client_of):
    error = errors.RepositoryEmpty("fraud has no commit", mend="Push one", detail="git said: nothing")
    answer = client_of(error).get("/")
    assert answer.status_code == 500
    assert answer.content_type == "application/problem+json"
    assert answer.json == {
        "type": "urn:mlrun-gitops:repository-empty",
        "title": "Internal Server Error",
        "status": 500,
        "detail": "fraud has no commit",
        "mend": "Push one",
        "output": "git said: nothing",
    }


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.Unauthorized("x"), 401),
        (errors.Forbidden("x"), 403),
        (errors.NotFound("x"), 404),
        (errors.Conflict("x"), 409),
        (errors.PayloadTooLarge("x"), 413),
        (errors.Malformed("x"), 400),
        (errors.StoreUnavailable("x"), 503),
    ],
)
def test_each_has_its_status(client_of, error, status):
    answer = client_of(error).get("/")
    assert (answer.status_code, answer.json["status"]) == (status, status)
    assert ("Retry-After" in answer.headers) == (status == 503)
    assert ("WWW-Authenticate" in answer.headers) == (status == 401)


def test_a_mistake_of_ours_shows_a_number_and_the_log_has_the_rest(client_of, caplog):
    answer = client_of(KeyError("secret-value")).get("/")
    assert answer.status_code == 500
    assert "secret-value" not in answer.text
    number = answer.json["detail"].split()[-1]
    assert number in caplog.text
    assert "secret-value" in caplog.text


def test_frameworks_errors_have_the_form_too(client_of):
    client = client_of(HTTPException())
    missing = client.get("/nowhere")
    assert (missing.status_code, missing.content_type) == (404, "application/problem+json")
    refused = client.post("/")
    assert refused.status_code == 405
    assert "GET" in refused.headers["Allow"]


def test_a_redirect_is_no_error(client_of):
    answer = client_of(HTTPException()).get("/page")
    assert answer.status_code == 308
    assert answer.headers["Location"].endswith("/page/")


def test_a_response_that_was_made_stays(client_of):
    answer = client_of(HTTPException(response=flask.Response("mine", status=418))).get("/")
    assert (answer.status_code, answer.text) == (418, "mine")
