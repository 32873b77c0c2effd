t() { echo "--- ${*:1}"; timeout -k 1 30 "$@" 2>&1 | cat; echo "[rc ${PIPESTATUS[0]}]"; }
cd /tmp/pains
R="RCRUN_ROOT=/home/rcrun/pains.st4 RCRUN_RUNROOT=/tmp/pains.run4"
t ./r $R run -d --pod pp busybox sleep 1000
I=$(./r $R ps -a --format '{{.Names}}' | grep infra); t ./r $R rm --depend $I;  t ./r $R rm -f --depend $I; t ./r $R ps -a;  t ./r $R pod ps
t ./r $R pod create --name qq; t ./r $R run -d --pod qq busybox sleep 1000
t ./r $R system reset -f
ls -A /home/rcrun/pains.st4 /tmp/pains.run4
echo "== inotify"
setpriv --reuid 1001 --regid 1001 --clear-groups /usr/bin/python3 -c '
import ctypes,os,time
l=ctypes.CDLL(None); n=0
while l.inotify_init()>=0: n+=1
print("instances",n,flush=True); time.sleep(25)' & P=$!
sleep 1
t ./r run -d --name ino busybox sh -c 'for i in 1 2 3; do echo $i; sleep 1; done; sleep 100'
timeout 4 ./r logs -f ino; echo rc $?
timeout 3 ./r events --since 1s; echo rc $?
t ./r run --rm busybox true
t ./r run --rm --network nn busybox true
t ./r wait --condition running ino
t ./r run -d --name hh --health-cmd true  busybox sleep 100
t ./r healthcheck run hh
t ./r wait --condition healthy hh
t ./r rm -f -t 0 ino hh
kill $P
