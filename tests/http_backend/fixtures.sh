#!/bin/bash
# Makes the repositories that the recorded requests were made to. Deterministic object ids:
# fixed names, dates, contents. usage: fixtures.sh ROOT GIT
set -eu
ROOT=$1; G=$2
rm -rf "$ROOT"; mkdir -p "$ROOT"
export HOME=$ROOT/.home XDG_CONFIG_HOME=$ROOT/.home/xdg GIT_CONFIG_NOSYSTEM=1
mkdir -p "$HOME"
export GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@x GIT_COMMITTER_NAME=C GIT_COMMITTER_EMAIL=c@x
t=1700000000
tick() { t=$((t+60)); export GIT_AUTHOR_DATE="$t +0000" GIT_COMMITTER_DATE="$t +0000"; }
tick
g() { "$G" -c init.defaultBranch=main -c core.autocrlf=false -c gc.auto=0 -c maintenance.auto=false -c advice.detachedHead=false "$@"; }
mk() { # mk NAME FORMAT : work repo with 3 commits, side branch, annotated tag, light tag, tag of tag, tag of blob, notes, symref
  local w=$ROOT/.w-$1
  t=1700000000; tick
  g init -q --object-format=$2 "$w"; cd "$w"
  echo one > a.txt; mkdir d; echo two > d/b.txt; g add .; g commit -q -m one; tick
  for i in $(seq 1 300); do echo "line $i"; done > d/big.txt; g add .; g commit -q -m two; tick
  g tag -a -m 'v1 tag' v1.0; tick
  g branch side; sed -i 's/line 150$/line 150 changed/' d/big.txt; g commit -q -a -m three; tick
  g tag light; g tag -a -m nested nested v1.0; tick; g tag -a -m blobtag blobtag $(g rev-parse HEAD:a.txt); tick
  g checkout -q side; echo s > s.txt; g add .; g commit -q -m side; tick; g checkout -q main
  g clone -q --bare "$w" "$ROOT/$1.git"
  cd "$ROOT/$1.git"; g config --unset-all remote.origin.url || true; g config --remove-section remote.origin || true
  g update-ref refs/hidden/x $(g rev-parse side); g update-ref refs/pull/1/head $(g rev-parse side)
  g symbolic-ref refs/heads/alias refs/heads/main
  g repack -q -a -d -f --depth=10 --window=10 --no-write-bitmap-index; g prune-packed -q; g update-server-info
  touch git-daemon-export-ok; : > description
  rm -rf hooks logs; cd "$ROOT"
}
mk tiny sha1
mk tiny256 sha256
cp -r tiny.git private.git; rm private.git/git-daemon-export-ok
cp -r tiny.git disabled.git; g -C disabled.git config http.uploadpack false
cp -r tiny.git nodumb.git; g -C nodumb.git config http.getanyfile false
cp -r tiny.git badcfg.git; g -C badcfg.git config http.uploadpack maybe
cp -r tiny.git brokencfg.git; echo '[core' >> brokencfg.git/config
cp -r tiny.git rp.git; g -C rp.git config http.receivepack true
cp -r tiny.git norp.git; g -C norp.git config http.receivepack false
cp -r tiny.git detached.git; g -C detached.git update-ref --no-deref HEAD $(g -C tiny.git rev-parse side)
cp -r tiny.git dangling.git; g -C dangling.git symbolic-ref HEAD refs/heads/nosuch
cp -r tiny.git hide.git; g -C hide.git config transfer.hideRefs refs/hidden; g -C hide.git config --add transfer.hideRefs refs/pull
cp -r tiny.git full.git
for kv in uploadpack.allowFilter=true uploadpack.allowRefInWant=true uploadpack.allowSidebandAll=true uploadpack.advertiseBundleURIs=true transfer.advertiseObjectInfo=true transfer.advertiseSID=true uploadpack.allowAnySHA1InWant=true bundle.version=1 bundle.mode=all bundle.one.uri=http://127.0.0.1:1/b.bundle bundle.one.creationToken=1; do g -C full.git config ${kv%%=*} "${kv#*=}"; done
cp -r tiny.git filter.git; g -C filter.git config uploadpack.allowFilter true
cp -r filter.git filterban.git; g -C filterban.git config uploadpackfilter.allow false; g -C filterban.git config uploadpackfilter.tree.maxDepth 2
cp -r tiny.git unbornallow.git; g -C unbornallow.git config lsrefs.unborn allow
cp -r tiny.git unbornignore.git; g -C unbornignore.git config lsrefs.unborn ignore
cp -r tiny.git owner.git; chown -R nobody owner.git
cp -r tiny.git badref.git; echo garbage > badref.git/refs/heads/broken; echo 1111111111111111111111111111111111111111 > badref.git/refs/heads/missing
cp -r tiny.git corrupt.git; p=$(ls corrupt.git/objects/pack/*.pack); chmod u+w $p; printf '\377\377\377\377\377\377\377\377\377\377\377\377\377\377\377\377' | dd of=$p bs=1 seek=300 conv=notrunc status=none
cp -r tiny.git loose.git; (cd loose.git; mv objects/pack/*.pack ../p.pack; rm -f objects/pack/*; g unpack-objects -q < ../p.pack; rm ../p.pack; g update-server-info)
cp -r tiny.git alt.git; rm -rf alt.git/objects/pack/*; echo "$ROOT/tiny.git/objects" > alt.git/objects/info/alternates
cp -r tiny.git bitmap.git; g -C bitmap.git repack -q -a -d -b
g init -q --bare empty.git; touch empty.git/git-daemon-export-ok; rm -rf empty.git/hooks
g init -q --bare --object-format=sha256 empty256.git; touch empty256.git/git-daemon-export-ok; rm -rf empty256.git/hooks
g init -q work; (cd work; echo x > x; g add x; tick; g commit -q -m w; touch .git/git-daemon-export-ok)
# shallow server
g clone -q --bare --depth 1 "file://$ROOT/tiny.git" shallow.git; touch shallow.git/git-daemon-export-ok; rm -rf shallow.git/hooks; g -C shallow.git config --remove-section remote.origin || true
# linear history, 12 commits, with a merge
w=$ROOT/.w-hist; g init -q $w; (cd $w; for i in $(seq 1 12); do tick; echo $i > f; g add f; g commit -q -m c$i; [ $i = 6 ] && g tag c6; done; g checkout -q -b topic HEAD~4; tick; echo t > t; g add t; g commit -q -m t1; g checkout -q main; tick; g merge -q --no-ff -m merge topic)
g clone -q --bare $w hist.git; touch hist.git/git-daemon-export-ok; rm -rf hist.git/hooks; g -C hist.git config --remove-section remote.origin; g -C hist.git config uploadpack.allowFilter true
# namespaced
cp -r tiny.git ns.git; g -C ns.git update-ref refs/namespaces/foo/refs/heads/nsb $(g -C ns.git rev-parse side); g -C ns.git symbolic-ref refs/namespaces/foo/HEAD refs/namespaces/foo/refs/heads/nsb
cp -r tiny.git replace.git; g -C replace.git replace $(g -C tiny.git rev-parse main) $(g -C tiny.git rev-parse side)
mkdir notgit; echo hi > notgit/f; ln -s tiny.git link.git; ln -s /etc outside.git
