"""What a person sees in the terminal when the competition's files stop a run."""

from workflow_runs import new_workflow


def test_what_stopped_the_run_is_among_its_last_lines(tmp_path):
    workflow = new_workflow(tmp_path, "classification")
    table = tmp_path / "data/train.csv"
    table.write_text(table.read_text().replace("p0002", "../p0001"))
    output = workflow.run(check=False)
    fault = "the id '../p0001' points above its folder"
    assert fault in output.partition("Exiting because a job execution failed")[2]
    assert "Traceback" not in output
    assert not list(workflow.results.glob("prepare/*"))

    # It is not told again, and the run goes on, once the table is mended.
    table.write_text(table.read_text().replace("../p0001", "p0002"))
    assert fault not in workflow.run("data")
    assert (workflow.results / "prepare/train.parquet").exists()

    (tmp_path / "data/test.csv").rename(tmp_path / "data/tests.csv")
    output = workflow.run(check=False)
    assert "competition.test: data/test.csv does not exist; nearest in data: tests.csv" in output
    assert "Traceback" not in output
