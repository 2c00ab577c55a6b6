package config

import "testing"

func TestSmoke(t *testing.T) {
	c, ps := Parse("config.ini", []byte("[GearmanManager]\nworker_dir=w1, w2\ncount=10\nhost=a,b:4731,::1\nauto_update=1\ntimeot=5\n[wc]\ncommand = sh -c 'sleep 1; cat'\ntimeout= 5 ; note\npriority=9\ncount=x\ndedicated_count=-2\n[GearmanManager]\n"), Overrides{{"-D", "count", "3"}, {"-x", "max_worker_lifetime", "abc"}})
	for _, p := range ps {
		t.Log(p)
	}
	f := c.Function("wc")
	t.Log(c.Count(), c.Origin(GlobalSection, "count"), c.Hosts(), c.WorkerDirs(), f.Command(), f.Timeout(), f.Grace(), f.Priority(), f.Origin("timeout"), f.OnCrash(), f.MaxLifetime(), c.MaxJobSize(), c.ReloadConfig())
}
