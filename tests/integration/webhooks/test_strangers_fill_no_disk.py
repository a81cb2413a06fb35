"""What proves nothing about its sender is counted always, and recorded rarely and without its body."""

from service.domain.states import DeliveryState
from service.receiver.rejections import Rejections
from service.store import new_id
from service.store.deliveries import Delivery
from tests.unit.receiver.sample import payload


def test_a_rejected_delivery_is_recorded_without_its_body_and_told_of(service):
    service.send(payload("push"), secret=b"guessed")
    (recorded,) = service.rejected()
    assert (recorded.hook, recorded.reason) == ("fraud", "X-Hub-Signature-256 matches no secret of this hook")
    assert recorded.size > 1000
    whole = service.delivery_of(recorded.id)
    assert whole.body is None
    assert whole.forge_id is None
    assert [told.id for told in service.told] == [recorded.id]


def test_a_flood_is_recorded_once_a_hook_and_counted(service):
    service.intake._rejections._clock = lambda: 0.0  # all of it comes at once, however long it takes here
    for i in range(50):
        service.send(payload("push"), secret=b"guessed")
        service.send(payload("push"), path=f"/webhooks/github/invented-{i}", secret=b"guessed")
    recorded = service.rejected()
    assert sorted(d.hook for d in recorded) == ["fraud", "invented-0"]
    metrics = service.client.get("/metrics").text
    assert 'gitops_webhook_deliveries_total{forge="github",status="401"} 100.0' in metrics


def test_the_next_record_tells_how_many_went_unrecorded(service):
    now = [0.0]
    rejections = Rejections(service.store, clock=lambda: now[0])

    def reject():
        rejections.note(
            "fraud",
            lambda: Delivery(
                id=new_id(), hook="fraud", forge="github", received_at=0, state=DeliveryState.REJECTED, reason="no"
            ),
        )

    for now[0] in (0.0, 0.2, 0.4, 1.1):
        reject()
    rejections.close()
    assert [d.reason for d in service.deliveries()] == ["no (2 more went unrecorded before this one)", "no"]


def test_a_forge_that_was_invented_is_no_label_of_its_own(service):
    for i in range(3):
        service.send(payload("push"), path=f"/webhooks/invented-{i}/fraud")
    metrics = service.client.get("/metrics").text
    assert 'gitops_webhook_deliveries_total{forge="unknown",status="401"} 3.0' in metrics
    assert "invented" not in metrics


def test_a_rejected_delivery_makes_no_later_one_a_duplicate(service):
    service.send(b"{}", delivery="d-1")
    assert service.send(payload("push"), delivery="d-1").json["status"] == "accepted"
