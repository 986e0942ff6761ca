#!/bin/sh
# An integration test of a site, without Python's help: what does its configuration do when the
# upstream wants SNI, and when its certificate has expired? Needs curl.
#
#     sh examples/integration.sh        (PYTHON names the interpreter that has sniproxy)
set -eu
sniproxy="${PYTHON:-python3} -m sniproxy"
folder=$(mktemp -d)
jobs=
trap 'kill $jobs; wait; rm -rf "$folder"' EXIT

$sniproxy upstreams needs-sni-112 expired --port 0 --certificates "$folder/certificates" > "$folder/upstreams.txt" &
jobs="$jobs $!"
until grep -q ^trust "$folder/upstreams.txt"; do sleep 0.1; done
needs_sni=$(sed -n 's/ needs-sni-112 .*//p' "$folder/upstreams.txt")
expired=$(sed -n 's/ expired .*//p' "$folder/upstreams.txt")

cat > "$folder/nginx.conf" <<CONFIG
error_log error.log;
events {}
http {
    access_log off;
    server {
        listen unix:$folder/site.sock;
        proxy_ssl_name upstream.test;
        proxy_ssl_trusted_certificate certificates/root.pem;
        location /without-sni { proxy_pass https://$needs_sni; }
        location /with-sni    { proxy_pass https://$needs_sni; proxy_ssl_server_name on; }
        location /expired     { proxy_pass https://$expired; proxy_ssl_verify on; }
    }
}
CONFIG
$sniproxy -p "$folder/" -c nginx.conf -g "daemon off;" &
jobs="$jobs $!"
until [ -S "$folder/site.sock" ]; do sleep 0.1; done

# check PATH STATUS [WORDS OF THE ERROR LOG]
check() {
    status=$(curl -s -o /dev/null -w '%{http_code}' --unix-socket "$folder/site.sock" "http://site$1")
    if [ "$status" != "$2" ] || ! grep -q -- "${3:-}" "$folder/error.log"; then
        echo "$1: $status instead of $2, or no \"${3:-}\" in"
        cat "$folder/error.log"
        exit 1
    fi
    echo "$1: $status"
}
check /without-sni 502 'unrecognized name:SSL alert number 112'
check /with-sni 200
check /expired 502 'verify error: (10:certificate has expired)'
