#!/bin/sh
# The server's side of the demo: deploys every commit of main that is pushed here, in the background, as a hosting platform
# does. The table `deployments` says how far each one is; deploy.log says what happened.

root=@ROOT@
afterpush=@AFTERPUSH@
monitor=@MONITOR@
port=@PORT@

row() {
    "$monitor" demo-row "$root/deployments.db" "$@"
}

fail() {
    row "$commit" failed "$(tail -n 1 "$root/deploy.log")"
    exit 1
}

deploy() {
    release=$root/site/$commit
    echo "deploying $commit"
    row "$commit" building
    mkdir -p "$release" || fail
    GIT_INDEX_FILE=$release.index git --work-tree="$release" checkout -q -f "$commit" -- . || fail
    (cd "$release" && sh ./build.sh) || fail
    if [ "$(git rev-parse main)" != "$commit" ]; then
        echo "left out $commit: main has moved on while it was built"
        exit 0
    fi
    row "$commit" deploying
    echo "$commit" >"$release/commit"
    # The new version starts beside the old one. When it says that it is ready the deployment counts as a success, and the
    # old version is told to leave, unless the new one is gone again.
    (cd "$release" && AFTERPUSH=$afterpush PORT=$port exec sh ./start.sh) &
    app=$!
    until [ -e "$release/ready" ]; do
        kill -0 "$app" 2>/dev/null || fail
        sleep 0.1
    done
    row "$commit" success
    echo "deployed $commit"
    sleep 0.2
    if ! kill -0 "$app" 2>/dev/null; then
        echo "the new version has ended by itself; the old one stays"
        exit 0
    fi
    if [ -e "$root/site/current" ]; then
        rm -f "$root/site/$(cat "$root/site/current")/commit"
    fi
    echo "$commit" >"$root/site/current"
}

while read -r _ commit ref; do
    if [ "$ref" = refs/heads/main ]; then
        # Nothing of git's stays open, so that the push does not wait for the deployment. By exec, because a shell keeps
        # copies of what it redirects for a while.
        echo >"$root/running/$commit"
        (
            trap 'rm -f "$root/running/$commit"' EXIT
            exec </dev/null >>"$root/deploy.log" 2>&1 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-
            deploy
        ) &
    fi
done
