// Results as a spreadsheet takes them.

#include "report/results_csv.h"

#include "tests/catch.h"

using namespace docmill;

TEST_CASE("texts come as one column, and no cell is a formula") {
  const ResultsCsv csv("");
  CHECK(csv.header() == "id,state,output,model,cost_usd,error_class,error_message,source\r\n");
  ResultRow row;
  row.item_key = "=cmd()";
  row.state = "done";
  row.output = "a, \"b\"\nc";
  row.model = "m";
  row.cost_pusd = 1'500'000'000'000;
  row.source = "/x";
  CHECK(csv.row(row) == "'=cmd(),done,\"a, \"\"b\"\"\nc\",m,1.50,,,/x\r\n");
}

TEST_CASE("an extraction's properties are columns in the schema's order") {
  const ResultsCsv csv(R"({"type":"object","properties":{"zeta":{},"alpha":{},"lines":{}}})");
  CHECK(csv.header() ==
        "id,state,zeta,alpha,lines,model,cost_usd,error_class,error_message,source\r\n");
  ResultRow row;
  row.item_key = "d1";
  row.state = "done";
  row.output = R"({"alpha":"-1+2","zeta":3.50,"lines":[1,{"a":2}]})";
  CHECK(csv.row(row).find("d1,done,3.5,'-1+2,\"[1,{\"\"a\"\":2}]\",") == 0);
  row.state = "failed";
  row.output.reset();
  row.error_class = "invalid_output";
  row.error_message = "no";
  row.is_unpriced = true;
  CHECK(csv.row(row) == "d1,failed,,,,,,invalid_output,no,\r\n");
}
