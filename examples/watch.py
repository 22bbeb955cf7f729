#!/usr/bin/python3
"""Keep a copy of all resources of one kind up to date, with psycopg2.

    ./watch.py 'host=a,b,c dbname=postgres connect_timeout=3' ConfigMap shop

The loop is list, then watch: read all of them together with the resource
version that the list is of, then ask for what came after it, again and again.
Whatever happens to the connection, "since" says how far the copy is.  It moves
to the bookmark of each answer, together with the copy.
"""

import sys
import time

import psycopg2
import psycopg2.errors


class Copy:
    def __init__(self, dsn, kind, namespace):
        self.dsn = dsn
        self.kind = kind
        self.namespace = namespace
        self.objects = {}
        self.since = None
        self.connection = None

    def connect(self):
        """Connect to the first host of the connection string that answers."""
        if self.connection is None or self.connection.closed:
            self.connection = psycopg2.connect(self.dsn)
            # a transaction that stays open would hold up VACUUM
            self.connection.autocommit = True
        return self.connection.cursor()

    def list(self, cursor):
        cursor.execute("SELECT store.list_page(%s, %s)", (self.kind, self.namespace))
        page = cursor.fetchone()[0]
        self.objects = {item["metadata"]["name"]: item for item in page["items"]}
        self.since = int(page["metadata"]["resourceVersion"])
        for name in self.objects:
            print("LISTED", self.objects[name]["metadata"]["resourceVersion"], name)

    def watch(self, cursor):
        cursor.execute(
            "SELECT type, resource_version, name, object"
            " FROM store.watch(%s, kind => %s, namespace => %s, timeout => '30 s')",
            (self.since, self.kind, self.namespace))
        for type, version, name, object in cursor.fetchall():
            if type == "BOOKMARK":
                self.since = version
                continue
            if type == "DELETED":
                self.objects.pop(name, None)
            else:
                self.objects[name] = object
            print(type, version, name)

    def step(self):
        """Go on by one answer.  Errors that the next step deals with are told."""
        try:
            cursor = self.connect()
            if self.since is None:
                self.list(cursor)
            else:
                self.watch(cursor)
        except psycopg2.OperationalError as error:
            # the connection is lost or the server goes down: ask another node
            print(str(error).strip(), file=sys.stderr)
            if self.connection is not None:
                self.connection.close()
            else:
                time.sleep(1)
            self.connection = None
        except psycopg2.Error as error:
            if error.pgcode == "RS410":
                # away for too long: list again
                print("RELIST")
                self.since = None
            elif error.pgcode not in ("RS503", "RS504"):
                raise


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(f"usage: {sys.argv[0]} CONNINFO KIND NAMESPACE")
    copy = Copy(*sys.argv[1:])
    while True:
        copy.step()
        sys.stdout.flush()
