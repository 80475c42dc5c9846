import pytest
pytestmark = pytest.mark.scenario
def test_x(remains):
    print(remains.home, remains.said, remains.bypasses)
    for n, (a, e) in remains.recorders.items():
        print(n, [len(x) for x in a.up()], [len(x) for x in a.down()], [len(x) for x in e.up()], [len(x) for x in e.down()])
    import pickle
    pickle.dump({n: (a.up(),a.down(),e.up(),e.down()) for n,(a,e) in remains.recorders.items()}, open("/tmp/trust_x/rec.pkl","wb"))
    import shutil; shutil.rmtree("/tmp/trust_x/remains", ignore_errors=True); shutil.copytree(remains.home.parent, "/tmp/trust_x/remains", ignore=lambda d,n:[x for x in n if x.endswith(".sock")])
