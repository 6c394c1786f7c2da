#!/usr/bin/env python3
"""A worker for a Headgate provider of the protocol `generic`: attaches any system without a line of Rust.

It fetches what is to be done, does it, and answers. Here "doing" is keeping a dictionary; put calls to your own
platform into `carry_out`. Nothing but Python's standard library is needed.

    HEADGATE_KEY=hg_... python3 worker.py http://127.0.0.1:8480 my-provider
    python3 worker.py http://127.0.0.1:8480 generic --once        ends when there is nothing to do

Two rules make it safe to run several of these, and to kill any of them at any time:
  - what was done for a number is not done again: the number comes again if an answer got lost;
  - an answer gives back the lease it was fetched under.
"""

import argparse
import json
import os
import sys
import time
import urllib.error
import urllib.request

ACCOUNTS = {}  # account number -> set of the platform's service ids
DONE = {}  # number -> answer; a real worker keeps this with its platform, so that it outlives the worker


def carry_out(work):
    """Does what one request asks for. Returns the members of the answer."""
    account = work.get("account") or work.get("subscription")
    services = {service["ca_id"] for service in work.get("services", [])}
    kind = work["type"]
    if kind == "BECOME_SUBSCRIBER":
        ACCOUNTS.setdefault(account, set())
        return {"state": "completed", "account": account}
    if kind in ("ACTIVATE_SERVICE", "ACTIVATE_SUBSCRIBER"):
        ACCOUNTS.setdefault(account, set()).update(services)
        return {"state": "completed"}
    if kind in ("DEACTIVATE_SERVICE", "DEACTIVATE_SUBSCRIBER"):
        held = ACCOUNTS.setdefault(account, set())
        held.difference_update(held if work.get("all_services") else services)
        return {"state": "completed"}
    if kind in ("UPDATE_SUBSCRIBER", "UPDATE_ADDRESS", "ADD_INSTALLED_ITEM", "REMOVE_INSTALLED_ITEM"):
        return {"state": "completed"}
    return {"state": "rejected", "code": "unsupported", "text": f"this worker does not know {kind}"}


class Gateway:
    """The calls of one provider."""

    def __init__(self, url, provider, key):
        self.base = f"{url.rstrip('/')}/v1/providers/{provider}"
        self.headers = {"Content-Type": "application/json"}
        if key:
            self.headers["Authorization"] = f"Bearer {key}"

    def call(self, name, body, timeout):
        request = urllib.request.Request(f"{self.base}/{name}", json.dumps(body).encode(), self.headers)
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return json.load(answer)

    def pull(self, wait, most):
        return self.call("pull", {"wait_seconds": wait, "max": most}, wait + 10)["requests"]

    def answer(self, answers):
        for failed in self.call("answers", {"answers": answers}, 10)["failed"]:
            print(f"{failed['number']} was not taken: {failed['detail']}", file=sys.stderr)


def main():
    parser = argparse.ArgumentParser(description="Fetch and do the work of a Headgate provider.")
    parser.add_argument("url", help="where the gateway is, as in http://127.0.0.1:8480")
    parser.add_argument("provider", help="the provider's name")
    parser.add_argument("--once", action="store_true", help="end when there is nothing to do")
    parser.add_argument("--max", type=int, default=50, help="most requests at a time, 1 to 50 [50]")
    parser.add_argument("--pause", type=float, default=0, help="seconds that each request takes [0]")
    arguments = parser.parse_args()
    gateway = Gateway(arguments.url, arguments.provider, os.environ.get("HEADGATE_KEY"))
    wait = 0 if arguments.once else 20
    while True:
        try:
            offers = gateway.pull(wait, arguments.max)
            answers = []
            for offer in offers:
                number = offer["number"]
                if number not in DONE:
                    time.sleep(arguments.pause)
                    DONE[number] = carry_out(offer)
                    print(f"{number} {offer['type']} {DONE[number]['state']}", flush=True)
                answers.append({"number": number, "lease": offer["lease"], **DONE[number]})
            if answers:
                gateway.answer(answers)
            elif arguments.once:
                return 0
        except urllib.error.HTTPError as error:
            if error.code in (401, 403, 404, 409):
                print(f"the gateway says {error.code}: {error.read().decode(errors='replace')}", file=sys.stderr)
                return 1
            time.sleep(1)
        except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
            print(f"the gateway can not be reached ({error}); trying again", file=sys.stderr)
            if arguments.once:
                return 1
            time.sleep(1)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(0)
